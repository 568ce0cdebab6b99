"""Text–video retrieval: which captions and videos are relevant to each other, and how well a model ranks them."""
