import threading

from local_cloud.logs import LogCollector

Stored = list[tuple[str, str, list[str], int]]


def _collector(stored: Stored, keep: int = 100) -> LogCollector:
    return LogCollector(
        lambda group, stream, lines, limit: stored.append((group, stream, [text for _, text in lines], limit)), keep
    )


def test_lines_arrive_in_order_and_in_one_batch_per_stream() -> None:
    stored: Stored = []
    collector = _collector(stored)
    for text in ("one", "two"):
        collector.stream("group", "stream").write(text)
    collector.close()
    assert [text for _, _, lines, _ in stored for text in lines] == ["one", "two"]


def test_a_flood_keeps_its_end() -> None:
    stored: Stored = []
    collector = _collector(stored, keep=10)
    for number in range(1000):
        collector.add("group", "stream", str(number))
    collector.close()
    assert stored[-1][2][-1] == "999"
    assert all(len(lines) <= 10 for _, _, lines, _ in stored)


def test_an_endless_line_is_cut() -> None:
    stored: Stored = []
    collector = _collector(stored)
    collector.add("group", "stream", "x" * 1_000_000)
    collector.close()
    assert len(stored[0][2][0]) < 10_000


def test_a_stream_that_is_closed_is_stored_and_takes_nothing_more() -> None:
    stored: Stored = []
    collector = _collector(stored)
    stream = collector.stream("group", "stream")
    stream.write("last")
    stream.close()
    assert [line for _, _, lines, _ in stored for line in lines] == ["last"]
    stream.write("late")
    stream.close()
    collector.close()
    assert [line for _, _, lines, _ in stored for line in lines] == ["last"]


def test_a_stream_is_not_closed_before_its_lines_that_are_being_stored_just_now() -> None:
    stored: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def store(_group: str, _stream: str, lines: list[tuple[int, str]], _keep: int) -> None:
        if not begun.is_set():
            begun.set()
            go_on.wait()
        stored.extend(text for _, text in lines)

    collector = LogCollector(store)
    stream = collector.stream("group", "stream")
    stream.write("one")
    begun.wait()
    stream.write("two")
    closing = threading.Thread(target=stream.close)
    closing.start()
    closing.join(0.1)
    assert stored == []
    go_on.set()
    closing.join()
    assert stored == ["one", "two"]
    collector.close()
