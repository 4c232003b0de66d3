"""Server-rendered pages: practice in a browser, with or without scripts."""
