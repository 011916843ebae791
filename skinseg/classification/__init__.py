"""Classifiers of lesions."""

from ._network import CNNClassifier
from ._rule import ABCDRuleClassifier

__all__ = ["ABCDRuleClassifier", "CNNClassifier"]
