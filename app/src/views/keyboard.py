"""How it is seen what has the keyboard."""

import flet as ft

FOCUSED = {
    ft.ControlState.FOCUSED: ft.BorderSide(3, ft.Colors.ON_SURFACE, stroke_align=ft.BorderSideStrokeAlign.OUTSIDE)
}
"""The side of a button that has it: Material's own sign is hardly to be seen."""

TINT = ft.Colors.with_opacity(0.2, ft.Colors.ON_SURFACE)
"""Over what has it, and has no side of its own."""
