"""Feature extractors and metrics."""

from ganzoo import Component

EXTRACTORS = [
    Component(
        "classifier",
        "ganzoo_zoo.extractors.classifier:Classifier",
        "a small CNN trained on the labelled images; no download",
        tags=("default",),
    ),
    Component(
        "timm",
        "ganzoo_zoo.extractors.backbone:Backbone",
        "any timm image model, with published weights",
        "Wightman 2019, doi:10.5281/zenodo.4414861",
        defaults={"backbone": "resnet18"},
        family="backbone",
        tags=("download", "default"),
    ),
    Component(
        "inception",
        "ganzoo_zoo.extractors.inception:Inception",
        "the InceptionV3 of published FID, KID and Inception scores; needs the extra `fidelity`",
        "Szegedy et al. 2016, arXiv:1512.00567; Heusel et al. 2017, arXiv:1706.08500",
        tags=("download",),
    ),
]

METRICS = [
    Component(
        "fid",
        "ganzoo_zoo.metrics.distribution:Frechet",
        "Fréchet distance of Gaussians fitted to the features (FID)",
        "Heusel et al. 2017, arXiv:1706.08500",
        tags=("default",),
    ),
    Component(
        "class-fid",
        "ganzoo_zoo.metrics.distribution:ClassFrechet",
        "FID within each class of a conditional generator",
        "Heusel et al. 2017, arXiv:1706.08500",
    ),
    Component(
        "kid",
        "ganzoo_zoo.metrics.distribution:Kernel",
        "kernel distance of the features (KID), unbiased for few images",
        "Bińkowski et al. 2018, arXiv:1801.01401",
        tags=("default",),
    ),
    Component(
        "is",
        "ganzoo_zoo.metrics.distribution:InceptionScore",
        "Inception score: confident predictions for each image, diverse ones over all images",
        "Salimans et al. 2016, arXiv:1606.03498",
    ),
    Component(
        "prdc",
        "ganzoo_zoo.metrics.neighbours:PRDC",
        "precision, recall, density and coverage",
        "Kynkäänniemi et al. 2019, arXiv:1904.06991; Naeem et al. 2020, arXiv:2002.09797",
        tags=("default",),
    ),
    Component(
        "memorization",
        "ganzoo_zoo.metrics.neighbours:Memorization",
        "copies of training images among the generated images",
        "Alaa et al. 2022, arXiv:2102.08921",
        tags=("default",),
    ),
    Component(
        "cas",
        "ganzoo_zoo.metrics.classifier:ClassificationAccuracyScore",
        "classification accuracy score: accuracy on real images after training on generated ones",
        "Ravuri and Vinyals 2019, arXiv:1905.10887",
    ),
    Component(
        "accuracy",
        "ganzoo_zoo.metrics.classifier:Accuracy",
        "accuracy, balanced error, macro F1, recall of each class and calibration error on held-out images",
        "Brodersen et al. 2010, doi:10.1109/ICPR.2010.764; Opitz and Burst 2019, arXiv:1911.03347; "
        "Guo et al. 2017, arXiv:1706.04599",
        tags=("default",),
    ),
]
