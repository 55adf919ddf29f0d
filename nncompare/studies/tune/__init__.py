"""``tune``: searches hyperparameters with Optuna by ask and tell. The parent imports no
framework.
"""
