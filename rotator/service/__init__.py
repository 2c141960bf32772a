"""``rotate serve``: the same work as ``rotate due``, on a timetable, by a process that people leave running.

::

            main thread                     lane threads (one round of one cluster at a time)
     ┌─────────────────────┐  due   ┌────────────────────────────────┐  Event   ┌───────────┐
     │ Service.tick        ├───────>│ rounds ── fleet.rotate ── PVE  ├─────────>│ Listeners │──> progress, metrics,
     │  scheduler  (when)  │        │   │                            │          └───────────┘    audit trail, logs
     │  reload  (what)     │        │   v                            │
     │  leader  (whether)  │        │ roster (when next), aftermath  ├─────────> Board ──> status page, metrics,
     └─────────────────────┘        └────────────────────────────────┘  Standing   │        notifications
              ^ ring                                                                └─ Change, to whoever watches
           signals

Whoever shows or tells what happens needs three things, and none of the machinery:

- ``rotator.events.Listener``: every step of every rotation, from several threads, as everywhere in the product. Give
  yours to ``House(listeners=...)``. It must be quick: it stands between two steps of a rotation.
- ``Board.standing``: how everything stands, as one frozen ``standing.Standing``. Reading it takes no lock; the object
  that was read never changes, the next one is another object. Nothing in it is secret. Times are aware, in UTC, by our
  own clock, unless they say that they are PVE's.
- ``Board.watch(watcher)``: called with a ``board.Change`` after each change, one at a time, in order: the standing
  before and after, and the names of the credentials that changed. It is where transitions are seen (failed, recovered,
  needs attention). It must be quick, too: what goes over a network belongs into a queue.

HTTP. ``server`` (TLS) and ``lobby`` (threads, limits) run a ``web.Site``, which maps paths to ``web.Route`` and sees to
names (``hosts``), the token (``gate``, ``guesses``, ``sessions``, ``entrance``), the methods and the headers.
``probes``, ``assets`` (the files of ``page/``), ``sheet`` (the document: ``document`` is its shape, ``telling`` fills
it) and ``button`` are what is answered. ``rotator.cli.answering`` puts it together; whoever adds a page adds its route
there.

``Service.ask(name, request, who=...)`` rotates now, for a button or a signal; it only puts the wish on the roster.

Time. The scheduler goes by an axis of its own (``axis``): the wall clock of the start plus what the monotonic clock has
counted since, time asleep included. So a wall clock that is set neither loses a round nor lets loose a storm of them.
When a token is due says PVE's clock; the distance to it is put on the axis. Only ``cron`` is about the wall clock, and
is worked out anew when that jumps. A machine that slept looks at everything once, at the next tick.

Memory. What is large and needed for a moment is made in parts where that goes: metrics by the family, the document by
the credential. ``heap`` sees to it that the rest is given back; of a configuration that was replaced nothing is kept.

Safety is nowhere in here. Any number of these may run at once, be paused, and be killed at any point: the protocol
bears it. Leadership, timetable and back-off only save work.
"""
