"""Device and processes, safe writing of files, pictures. What belongs here knows nothing of GANs."""
