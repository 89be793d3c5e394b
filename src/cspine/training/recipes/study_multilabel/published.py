"""What the capstone report prints of its classifiers. It says neither on how many studies, nor on which."""

FIGURES = ("loss", "accuracy", "f1")
PUBLISHED = {
    "basic-cnn": (0.0049, 1.0000, 0.8381),
    "inception-v3": (0.0512, 0.9802, 0.4783),
    "efficientnet-b5": (1.0992, 0.9482, 0.0660),
    "resnet50": (0.7423, 0.9639, 0.3874),
}
