"""Metrics, and the extractors of the features that they compare."""

from ganzoo import Component

EXTRACTORS = [
    Component(
        "classifier",
        "ganzoo_zoo.extractors.classifier:Classifier",
        "a small network trained here on the labelled images; no download",
        tags=("usual",),
    ),
    Component(
        "timm",
        "ganzoo_zoo.extractors.backbone:Backbone",
        "any image model of timm, with its published weights",
        "Wightman 2019, doi:10.5281/zenodo.4414861",
        defaults={"backbone": "resnet18"},
        family="backbone",
        tags=("download", "usual"),
    ),
    Component(
        "inception",
        "ganzoo_zoo.extractors.inception:Inception",
        "the features that published FID, KID and Inception scores are of; needs the extra `fidelity`",
        "Szegedy et al. 2016, arXiv:1512.00567; Heusel et al. 2017, arXiv:1706.08500",
        tags=("download",),
    ),
]

METRICS = [
    Component(
        "fid",
        "ganzoo_zoo.metrics.distribution:Frechet",
        "Fréchet distance of the features' means and covariances",
        "Heusel et al. 2017, arXiv:1706.08500",
        tags=("usual",),
    ),
    Component(
        "class-fid",
        "ganzoo_zoo.metrics.distribution:ClassFrechet",
        "the same within each class, of a conditional generator",
        "Heusel et al. 2017, arXiv:1706.08500",
    ),
    Component(
        "kid",
        "ganzoo_zoo.metrics.distribution:Kernel",
        "kernel distance of the features, unbiased for few images",
        "Bińkowski et al. 2018, arXiv:1801.01401",
        tags=("usual",),
    ),
    Component(
        "is",
        "ganzoo_zoo.metrics.distribution:InceptionScore",
        "whether each image is of one class, and all of many",
        "Salimans et al. 2016, arXiv:1606.03498",
    ),
    Component(
        "prdc",
        "ganzoo_zoo.metrics.neighbours:PRDC",
        "precision, recall, density and coverage",
        "Kynkäänniemi et al. 2019, arXiv:1904.06991; Naeem et al. 2020, arXiv:2002.09797",
        tags=("usual",),
    ),
    Component(
        "memorization",
        "ganzoo_zoo.metrics.neighbours:Memorization",
        "whether generated images are copies of training images",
        "Alaa et al. 2022, arXiv:2102.08921",
        tags=("usual",),
    ),
    Component(
        "cas",
        "ganzoo_zoo.metrics.classifier:ClassificationAccuracyScore",
        "how well a classifier that saw generated images alone knows real ones",
        "Ravuri and Vinyals 2019, arXiv:1905.10887",
    ),
    Component(
        "accuracy",
        "ganzoo_zoo.metrics.classifier:Accuracy",
        "held-out images classified rightly, and calibration",
        "Guo et al. 2017, arXiv:1706.04599",
        tags=("usual",),
    ),
]
