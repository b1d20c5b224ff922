"""The paper's formulas as loops over Python floats: slow, and plain enough to check by eye."""

import math

from torch import Tensor


def cosine(x: Tensor, y: Tensor) -> float:
    a, b = x.tolist(), y.tolist()
    lengths = math.hypot(*a) * math.hypot(*b)
    return sum(p * q for p, q in zip(a, b, strict=True)) / lengths if lengths > 0 else 0.0


def context_loss(
    anchor: Tensor,
    positives: Tensor,
    negatives: Tensor,
    positive_mask: Tensor,
    negative_mask: Tensor,
    temperature: float,
    denominator: str,
) -> float:
    """Eq. 7-10, mean over the anchors with a positive and a negative."""
    losses = []
    for i in range(len(anchor)):
        above = [math.exp(cosine(anchor[i], g) / temperature) for g in positives[i][positive_mask[i]]]
        below = [math.exp(cosine(anchor[i], g) / temperature) for g in negatives[i][negative_mask[i]]]
        if above and below:
            losses.append(contrast(above, below, denominator))
    return sum(losses) / max(1, len(losses))


def contrast(above: list[float], below: list[float], denominator: str) -> float:
    """The loss of one anchor from F of its positives and of its negatives."""
    divisor = sum(below) + (0.0 if denominator == "negatives" else sum(above))
    if denominator == "khosla":
        return -sum(math.log(f / divisor) for f in above) / len(above)
    return -math.log(sum(above) / divisor / len(above))


def modality_loss(
    features: dict[str, Tensor], correct: dict[str, Tensor], temperature: float, denominator: str = "negatives"
) -> float:
    """Algorithm 1, per modality the mean over the anchors with both sides, summed over modalities."""
    total = 0.0
    for modality, u in features.items():
        p = correct[modality].tolist()
        losses = []
        for i in range(len(u)):
            plus = [math.exp(cosine(u[i], u[j]) / temperature) for j in range(len(u)) if j != i and p[j] == p[i]]
            minus = [math.exp(cosine(u[i], u[j]) / temperature) for j in range(len(u)) if p[j] != p[i]]
            if plus and minus:
                losses.append(contrast(plus, minus, denominator))
        total += sum(losses) / max(1, len(losses))
    return total
