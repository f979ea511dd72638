"""Whether the sockets and streams of a market still speak. Pure: `now_s` is a clock that only goes forward."""

from collections.abc import Iterator, Sequence

from connectors.lane import Channel, Lane
from connectors.reconnect import Silence


class Watch:
    """Listens to lanes by the number of frames they have published; limits are the venue's times `factor`."""

    def __init__(
        self, lanes: Sequence[Lane], socket_silence_s: float, now_s: float, factor: float = 1.0
    ) -> None:
        self._silences: dict[Lane | Channel, Silence] = {}
        self._silent_at: dict[Channel, int] = {}  # frames published when it fell silent
        for lane in lanes:
            self._silences[lane] = Silence(socket_silence_s * factor, now_s)
            for channel in lane.channels.values():
                if channel.stream.silence_s is not None:
                    self._silences[channel] = Silence(channel.stream.silence_s * factor, now_s)

    def silent(self, lanes: Sequence[Lane], now_s: float) -> Iterator[tuple[Lane, Channel | None]]:
        """What has just been silent for too long: channels, or a lane as a whole (None)."""
        for lane in lanes:
            watched = [channel for channel in lane.channels.values() if channel in self._silences]
            if lane.publisher is None:
                self._silences[lane].pause(now_s)
                for channel in watched:
                    self._silences[channel].pause(now_s)
            elif self._too_long(lane, now_s):
                yield lane, None
            else:
                for channel in watched:
                    if self._too_long(channel, now_s):
                        self._silent_at[channel] = channel.count
                        yield lane, channel

    def is_silent(self, channel: Channel) -> bool:
        """Whether nothing has come since it was found silent."""
        return self._silent_at.get(channel) == channel.count

    @staticmethod
    def reason(channel: Channel) -> str:
        """What to say of a silent channel."""
        never = "" if channel.count else ", never heard: is it served at this path?"
        return f"{channel.stream.name} is silent{never}"

    def _too_long(self, watched: Lane | Channel, now_s: float) -> bool:
        silence = self._silences[watched]
        return not silence.heard(now_s, watched.count) and silence.too_long(now_s)
