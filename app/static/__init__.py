"""The client as a folder of plain files, for any web server: Python runs in the visitor's browser, by Pyodide."""
