"""Devices and processes, safe writing of files, opening and preparing pictures. Nothing here knows of GANs."""
