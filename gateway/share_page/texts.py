"""What the public page says, in both of its languages."""

from collections.abc import Mapping
from datetime import datetime

from gateway.negotiation import Language

LOCALES: Mapping[Language, str] = {"en": "en_US", "zh": "zh_CN"}
"""As Open Graph spells them."""

WORDS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "title": "A picture made with ImageGen",
        "picture": "Somebody shared a picture with you.",
        "download": "Download",
        "made": "Made with ImageGen",
        "password": "Password",
        "unlock": "Show the picture",
        "wrong": "This is not the password. Check it and try again.",
    },
    "zh": {
        "title": "用 ImageGen 创作的图片",
        "picture": "有人与你分享了一张图片。",
        "download": "下载图片",
        "made": "由 ImageGen 创作",
        "password": "密码",
        "unlock": "查看图片",
        "wrong": "密码不正确，请检查后重试。",
    },
}

NOTICES: Mapping[Language, Mapping[str, tuple[str, str]]] = {
    "en": {
        "not_found": ("There is nothing here", "Check that the whole link was copied."),
        "share_not_found": ("No such link", "Check that the whole link was copied."),
        "share_ended": (
            "This link has ended",
            "It has expired or was revoked, or its picture was deleted. Ask whoever gave it to you for another one.",
        ),
        "share_locked": ("This picture has a password", "Whoever gave you the link can tell it to you."),
        "share_password_wrong": ("This picture has a password", "Whoever gave you the link can tell it to you."),
        "too_many_attempts": ("Too many wrong passwords", "Wait for a quarter of an hour and try again."),
        "rate_limited": ("Too many requests", "Wait for a minute and try again."),
        "download_not_allowed": ("Only for looking at", "The owner of the picture does not give the original away."),
        "picture_lost": ("The picture is lost", "The link is good, and its picture is not there any more."),
    },
    "zh": {
        "not_found": ("这里什么也没有", "请检查链接是否复制完整。"),
        "share_not_found": ("链接不存在", "请检查链接是否复制完整。"),
        "share_ended": ("链接已失效", "它已过期或被撤销，或图片已被删除。请向分享者索取新的链接。"),
        "share_locked": ("这张图片需要密码", "请向分享者询问密码。"),
        "share_password_wrong": ("这张图片需要密码", "请向分享者询问密码。"),
        "too_many_attempts": ("密码错误次数过多", "请等待一刻钟后再试。"),
        "rate_limited": ("请求过于频繁", "请稍等一分钟后再试。"),
        "download_not_allowed": ("仅供查看", "图片所有者未开放原图下载。"),
        "picture_lost": ("图片已丢失", "链接有效，但图片已不在了。"),
    },
}
"""Code of a problem → what has happened, and what to do."""

OTHERWISE: Mapping[Language, tuple[str, str]] = {
    "en": ("This does not work just now", "Try again in a moment."),
    "zh": ("暂时无法显示", "请稍后再试。"),
}

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def day(moment: datetime, language: Language) -> str:
    """Whatever the locale of the process is."""
    if language == "zh":
        return f"{moment.year}年{moment.month}月{moment.day}日"
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"
