"""How far a lane is in its topics: watermark, window and what a commit's metadata says of them. Pure."""
