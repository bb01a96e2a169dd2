"""Device and processes, safe writing of files, opening and preparing pictures. What belongs here knows nothing of GANs."""
