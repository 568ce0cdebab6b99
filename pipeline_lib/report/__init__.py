"""Results → pages that a person opens from disk: one HTML file each, no network, nothing in it trusted.

page      template + values → HTML with the project's style, filters and keyboard
pictures  frames and matplotlib figures → bytes, data: URIs, inline SVG
templates/base.html.j2, macros.html.j2, base.css, base.js: what every page shares
"""
