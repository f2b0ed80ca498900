"""Room for texts beside the points that they name."""


class Labels:
    """Finds room for texts beside their points, so that none lies on another."""

    def __init__(self) -> None:
        self.boxes: list[tuple[float, float, float, float]] = []

    def keep_clear(self, x: float, y: float, size: float) -> None:
        """Keep texts away from something that is drawn there."""
        self.boxes.append((x - size, y - size, x + size, y + size))

    def place(
        self, x: float, y: float, gap: float, text: str, char: float, line: float
    ) -> tuple[float, float]:
        """Give the place of a text of so wide characters beside (x, y); the first that is free."""
        width = len(text) * char
        choices = [
            (x + gap, y - gap + 3),
            (x + gap, y + line / 3),
            (x + gap, y + gap + line * 0.7),
            (x - gap - width, y + line / 3),
            (x - width / 2, y - gap - 3),
            (x - width / 2, y + gap + line),
            (x + gap, y - gap - line),
            (x + gap, y + gap + 2 * line),
        ]
        free = [at for at in choices if not self._taken(*at, width, line)]
        left, base = (free or choices)[0]
        self.boxes.append((left, base - line, left + width, base))
        return round(left, 1), round(base, 1)

    def _taken(self, left: float, base: float, width: float, line: float) -> bool:
        return any(
            left < b[2] and left + width > b[0] and base - line < b[3] and base > b[1]
            for b in self.boxes
        )
