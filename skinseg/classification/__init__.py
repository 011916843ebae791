"""Classifiers of lesions."""

from ._rule import ABCDRuleClassifier

__all__ = ["ABCDRuleClassifier"]
