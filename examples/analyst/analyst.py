"""What an analyst does with events: listen to them, and draw cohorts from an export of them."""

import argparse
import asyncio
import getpass
import json
import sys

import duckdb
import matplotlib
import nats
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


class Decoder:
    """Payloads by the descriptors that `vefa events descriptors` writes; no generated code."""

    def __init__(self, path):
        files = descriptor_pb2.FileDescriptorSet()
        with open(path, "rb") as file:
            files.ParseFromString(file.read())
        self.pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            self.pool.Add(file)

    def decode(self, type_name, payload):
        """The payload as protobuf's JSON; None for a type that is newer than the descriptors."""
        try:
            descriptor = self.pool.FindMessageTypeByName(type_name)
        except KeyError:
            return None
        message = message_factory.GetMessageClass(descriptor)()
        message.ParseFromString(payload)
        return json_format.MessageToDict(message, descriptor_pool=self.pool)


class Positions:
    """Which events of a partition were seen: a repeat is told from what is new, and a hole from what follows."""

    def __init__(self):
        self.last = {}

    def take(self, place, epoch, position):
        """False for a repeat. Tells of a hole: it is another tenant's events, or was missed and is in the log (ReadLog)."""
        seen_epoch, seen = self.last.get(place, (epoch, None))
        if epoch < seen_epoch or (epoch == seen_epoch and seen is not None and position <= seen):
            return False
        if epoch > seen_epoch:
            print(f"{place}: the log was restored to an earlier point, epoch {epoch}", file=sys.stderr)
        elif seen is not None and position > seen + 1:
            print(f"{place}: nothing was heard of positions {seen + 1} to {position - 1}", file=sys.stderr)
        self.last[place] = (epoch, position)
        return True


async def listen(arguments):
    decoder = Decoder(arguments.descriptors)
    if arguments.password_file:
        with open(arguments.password_file, encoding="utf-8") as file:
            password = file.read().strip()
    else:
        password = getpass.getpass(f"Password of analyst-{arguments.tenant}: ")
    connection = await nats.connect(
        arguments.nats, user=f"analyst-{arguments.tenant}", password=password
    )
    subscription = await connection.subscribe(f"vefa.{arguments.tenant}.>")
    await connection.flush()
    print("listening", file=sys.stderr, flush=True)
    positions, printed = Positions(), 0
    async for message in subscription.messages:
        # vefa.<tenant>.<service>.<partition>.<type>
        _, _, service, partition, _ = message.subject.split(".")
        headers = message.headers
        epoch, position = int(headers["Vefa-Epoch"]), int(headers["Vefa-Position"])
        if not positions.take(f"{service}.{partition}", epoch, position):
            continue
        data = decoder.decode(headers["ce-type"], message.data)
        line = {"id": headers["ce-id"], "type": headers["ce-type"], "time": headers["ce-time"], "data": data}
        print(json.dumps(line), flush=True)
        printed += 1
        if printed == arguments.count:
            break
    await connection.close()


# A cohort is everybody whose first purchase was in the same month. Amounts given back are no purchase.
RETENTION = """
    with purchase as (
        select customer_id, date_trunc('month', occurred_time at time zone 'UTC') as month
        from read_parquet($files, hive_partitioning = true, union_by_name = true)
    ),
    first as (select customer_id, min(month) as cohort from purchase group by customer_id)
    select cohort::date as cohort,
           date_diff('month', cohort, month) as months_later,
           count(distinct customer_id) as customers
    from purchase join first using (customer_id)
    group by all order by all
"""


def cohorts(arguments):
    files = f"{arguments.export}/type=PurchaseRecorded/**/*.parquet"
    try:
        rows = duckdb.execute(RETENTION, {"files": files}).fetchall()
    except duckdb.IOException as error:
        sys.exit(f"no purchases in {arguments.export}: {str(error).splitlines()[0]}")
    counts = {(cohort, later): customers for cohort, later, customers in rows}
    names = sorted({cohort for cohort, _, _ in rows})
    last = max(cohort.year * 12 + cohort.month + later for cohort, later, _ in rows)
    columns = max(later for _, later, _ in rows) + 1
    if columns == 1:
        sys.exit("all purchases are of one month: nobody can have come back")
    shares = []
    for cohort in names:
        size = counts[cohort, 0]
        # What lies after the last month of all purchases is not nothing, but not known yet.
        known = last - (cohort.year * 12 + cohort.month) + 1
        shares.append(
            [100 * counts.get((cohort, later), 0) / size if later < known else float("nan") for later in range(columns)]
        )
    draw(arguments.png, names, [counts[cohort, 0] for cohort in names], shares)
    purchases = duckdb.execute(
        "select count(*), count(distinct customer_id) from read_parquet($files)", {"files": files}
    ).fetchone()
    print(f"{purchases[0]} purchases of {purchases[1]} customers in {len(names)} cohorts: {arguments.png}")


def draw(png, names, sizes, shares):
    """Months after the first purchase from left to right; the first month itself is 100 % of each and left out."""
    later = [row[1:] for row in shares]
    width, height = max(len(row) for row in later), len(later)
    figure, axes = plt.subplots(figsize=(2.6 + 0.52 * width, 1.9 + 0.42 * height), layout="constrained")
    top = max((share for row in later for share in row if share == share), default=1)
    image = axes.imshow(later, cmap="Blues", vmin=0, vmax=top, aspect="auto")
    for y, row in enumerate(later):
        for x, share in enumerate(row):
            if share == share:
                colour = "white" if share > 0.6 * top else "black"
                axes.text(x, y, f"{share:.0f}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(width), [str(month) for month in range(1, width + 1)])
    axes.set_yticks(range(height), [f"{cohort:%b %Y}  ({size})" for cohort, size in zip(names, sizes)])
    axes.set_xlabel("months after the first purchase")
    axes.set_ylabel("first purchase (customers)")
    axes.set_title("Customers who bought again, % of their cohort")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, label="%", pad=0.01)
    figure.savefig(png, dpi=140)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    listening = commands.add_parser("listen", help="print events as they happen")
    listening.add_argument("--nats", default="nats://127.0.0.1:4222")
    listening.add_argument("--tenant", required=True)
    listening.add_argument("--password-file", help="asked for when it is not given")
    listening.add_argument("--descriptors", default="vefa.binpb")
    listening.add_argument("--count", type=int, help="end after this many events")
    listening.set_defaults(run=lambda arguments: asyncio.run(listen(arguments)))
    drawing = commands.add_parser("cohorts", help="draw who came back from an export as Parquet")
    drawing.add_argument("export")
    drawing.add_argument("png")
    drawing.set_defaults(run=cohorts)
    arguments = parser.parse_args()
    try:
        arguments.run(arguments)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
