"""Pages that lie flat: scanners, fax machines and renderers move the millimetres smoothly, whatever single nodes say.

Where the ruling is faint, broken or covered, nodes are placed to a few tenths of a millimetre, and a beat that is read
three tenths of a millimetre off its place is 12 ms late. A page that was not bent has no such places: what bends over
the whole of it, as a scanner's feed does, is kept, and what a few neighbouring nodes say against all others is not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.geometry import Float64, PaperMap

FLAT_MM = 0.25  # median distance of nodes from a plane; real scans have 0.1, pages bent before a camera 0.7 and more
BENT = 0.7  # of that distance, below which a surface of third order must bring it to be worth its freedom
CUBIC = 3
ROUNDS = 6  # of weighing nodes anew
NODES_MIN = 40  # three times what the cubic has unknowns


def laid_out(paper: PaperMap) -> PaperMap:
    """The map of a flat page without the places at which its lattice was led astray; any other page's as it is.

    A plane, or a surface of third order where that fits clearly better, is laid through the nodes; those far off weigh
    little.
    """
    if paper.nodes_px[..., 0].size < NODES_MIN or min(paper.nodes_px.shape[:2]) <= CUBIC:
        return paper
    plane, off_mm = _surface(paper, 1)
    if off_mm > FLAT_MM:
        return paper
    curved, left_mm = _surface(paper, CUBIC)
    return replace(paper, nodes_px=curved if left_mm < BENT * off_mm else plane)


def _surface(paper: PaperMap, order: int) -> tuple[Float64, float]:
    """float64 (R, C, 2), pixels: the nodes on a polynomial of the millimetres; and their median distance to it, mm."""
    x, y = np.meshgrid(_centred(paper.x_mm), _centred(paper.y_mm))
    terms = [x**i * y**j for i in range(order + 1) for j in range(order + 1 - i)]
    design = np.stack([term.ravel() for term in terms], axis=1)
    nodes = paper.nodes_px.reshape(-1, 2)
    weight = np.ones(len(nodes))
    for _ in range(ROUNDS):  # Cauchy's weights: the farther off, the less a node counts
        factors, *_ = np.linalg.lstsq(design * weight[:, None], nodes * weight[:, None], rcond=None)
        off_px = np.hypot(*(design @ factors - nodes).T)
        scale = 3.0 * float(np.median(off_px)) + 1e-9
        weight = 1.0 / np.sqrt(1.0 + (off_px / scale) ** 2)
    return np.asarray((design @ factors).reshape(paper.nodes_px.shape)), float(np.median(off_px)) / _px_per_mm(paper)


def _centred(at_mm: Float64) -> Float64:
    """-1..1: powers of raw millimetres would be as good as linearly dependent."""
    return np.asarray(2.0 * (at_mm - at_mm[0]) / (at_mm[-1] - at_mm[0]) - 1.0, np.float64)


def _px_per_mm(paper: PaperMap) -> float:
    right = np.linalg.norm(np.diff(paper.nodes_px, axis=1), axis=-1) / np.diff(paper.x_mm)
    return float(np.median(right))
