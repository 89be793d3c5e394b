"""What Raghuvanshi et al. print: accuracy per level, random forest and EfficientNetV2; the rest they only announce."""

LEVELS = ("C1", "C2", "C3", "C4", "C5", "C6", "C7", "overall")
FOREST = dict(zip(LEVELS, (0.8891, 0.8898, 0.8962, 0.8952, 0.8893, 0.8713, 0.8576, 0.8841), strict=True))
NETWORK = dict(zip(LEVELS, (0.9621, 0.9409, 0.9559, 0.9605, 0.9482, 0.9450, 0.9465, 0.9513), strict=True))
