"""YouTube as a source, through yt-dlp and youtube-transcript-api; see docs/youtube.md."""
