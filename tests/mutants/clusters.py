"""Bugs in what is sent to a cluster, which job it is, and which tick runs."""

from tests.mutants.mutant import Mutant

CRON = "tests/unit/test_cron.py"
CRONTAB = "tests/unit/test_crontab.py"
DUE = "tests/unit/test_due.py"
IN_CLUSTER = "tests/unit/test_in_cluster.py"
KUBERNETES = "tests/unit/test_kubernetes.py"
KUBERNETES_TIMER = "tests/unit/test_kubernetes_timer.py"
LINT = "tests/unit/test_lint.py"
PARCEL = "tests/unit/test_parcel.py"
SLURM = "tests/unit/test_slurm.py"
SUBMIT = "tests/unit/test_submit.py"
AUTOSCALER = "tests/clusters/test_autoscaler.py"
KUBERNETES_SCHEDULE = "tests/clusters/test_kubernetes_schedule.py"
OWN_RAY = "tests/clusters/test_own_ray.py"
RAY_UP = "tests/clusters/test_ray_up.py"
SLURM_JOBS = "tests/clusters/test_slurm.py"
SLURM_LINKS = "tests/unit/test_slurm_links.py"
SLURM_SCHEDULE = "tests/clusters/test_slurm_schedule.py"

_CRON = "pipelines/cron.py"
_CRONTAB = "pipelines/crontab.py"
_DUE = "pipelines/due.py"
_CRONJOB = "pipelines/timers/kubernetes_cronjob.py"
_HISTORY = "pipelines/timers/kubernetes_history.py"
_IN_CLUSTER = "pipelines/launchers/in_cluster.py"
_KUBERNETES = "pipelines/launchers/kubernetes.py"
_LINT = "pipelines/lint.py"
_LINT_KUBERNETES = "pipelines/lint_kubernetes.py"
_PARCEL = "pipelines/parcel.py"
_SECURE = "tasks/fleet/secure.py"
_SLURM = "pipelines/launchers/slurm.py"
_SLURM_FOLDER = "pipelines/launchers/slurm_folder.py"
_SLURM_NODE = "pipelines/launchers/slurm_node.py"
_SLURM_LINKS = "pipelines/timers/slurm_links.py"
_SLURM_TICK = "pipelines/timers/slurm_tick.py"
_SLURM_TIMER = "pipelines/timers/slurm.py"
_SUBMIT = "pipelines/submit.py"
_CLUSTER = "tasks/fleet/cluster.py"
_UP = "cluster.yaml"

MUTANTS = (
    Mutant("a failed job counts as done", _SUBMIT, 'in ("failed", "stopped"):', 'in ("stopped",):', (SUBMIT,)),
    Mutant("the first attempt for the last", _SUBMIT, "last = max(attempts)", "last = min(attempts)", (SUBMIT,)),
    Mutant("one job every night", _SUBMIT, "tick, str(folder), *arguments", "str(folder), *arguments", (SUBMIT,)),
    Mutant("new rows, the same job", _SUBMIT, "{path.stat().st_mtime_ns}", "", (SUBMIT,)),
    Mutant("a lost job has ended well", _SUBMIT, "if job.exit_code is None:", "if job.exit_code == 99:", (SUBMIT,)),
    Mutant("passwords are sent", _SUBMIT, "if redact(text) != text:", "if False:", (SUBMIT,)),
    Mutant("a token for all to read", _SECURE, "if mode & 0o077:", "if mode & 0o007 == 0o007:", (SUBMIT,)),
    Mutant("data are sent", _PARCEL, "or out & {path, *path.parents}", "", (PARCEL,)),
    Mutant("secrets are sent", _PARCEL, "(*NOT_SENT, *SECRET)", "NOT_SENT", (PARCEL,)),
    Mutant("the token is sent", _PARCEL, "secret.encode() in content:", "secret.encode() == content:", (PARCEL,)),
    Mutant(
        "who comes second runs a tick too",
        _DUE,
        "asdict(begun)):",
        'asdict(begun)) or not (folder / TICKS / f"{name}.end.json").exists():',
        (DUE,),
    ),
    Mutant("ticks before the schedule", _DUE, "last.astimezone() > datetime", "last.astimezone() != datetime", (DUE,)),
    Mutant("a killed tick begun by another", _DUE, " and tick.host == host", "", (DUE,)),
    Mutant("skipped ticks run", _DUE, 'if schedule.missed == "skip":', 'if schedule.missed == "never":', (DUE,)),
    Mutant("days of week and month always both", _CRON, "if self.either_day else", "if False else", (CRON,)),
    Mutant("Sunday is no 7", _CRON, "day % 7 for day in weekdays", "day for day in weekdays", (CRON,)),
    Mutant(
        "others' lines after ours are lost",
        _CRONTAB,
        "BLOCK.sub(lambda _: block, text, count=1)",
        "text[: text.index(BEGIN)] + block",
        (CRONTAB,),
    ),
    Mutant("no token passes", _LINT, '!= {"token"}:', '!= {"token"} and False:', (LINT,)),
    Mutant("a group by Ray passes", _LINT, 'kind == "aws" and', 'kind == "none" and', (LINT,)),
    Mutant("a dashboard for all passes", _LINT, "<= LOOPBACK:", "<= LOOPBACK and False:", (LINT,)),
    Mutant(
        "two Slurm jobs run one order", _SLURM_FOLDER, "return self.slurm_job() == slurm_job", "return True", (SLURM,)
    ),
    Mutant(
        "two Slurm jobs run one tick", _SLURM_LINKS, "return self.slurm_job == number", "return True", (SLURM_LINKS,)
    ),
    Mutant("a removed schedule's job runs", _SLURM_TICK, "if made.since == link.since else None", "", (SLURM_LINKS,)),
    Mutant("a long one before hides no tick", _SLURM_TICK, "return has_overlapped or (", "return (", (SLURM_LINKS,)),
    Mutant(
        "a tick is run after the next",
        _SLURM_TICK,
        "and following <= datetime",
        "and following > datetime",
        (SLURM_LINKS,),
    ),
    Mutant("a requeued tick queues another", _SLURM_LINKS, 'get("tick", tick)', 'get("none", tick)', (SLURM_LINKS,)),
    Mutant(
        "the next tick does not wait for this one",
        _SLURM_TIMER,
        "if holders else []",
        "if not holders else []",
        (SLURM_SCHEDULE,),
    ),
    Mutant("a refused queueing ends the chain", _SLURM_TICK, "if not is_queued and", "if False and", (SLURM_SCHEDULE,)),
    Mutant("the first run for the last", _SLURM_FOLDER, "reverse=True", "reverse=False", (SLURM,)),
    Mutant("runs' logs are mixed", _SLURM_FOLDER, "if run.number != self._run:", "if self._run < 0:", (SLURM,)),
    Mutant("what was cut short has failed", _SLURM, " and not run.was_told:", ":", (SLURM,)),
    Mutant("stopped is as lost", _SLURM, "if folder.is_to_stop() or slurm.state", "if slurm.state", (SLURM,)),
    Mutant(
        "another's job with its number",
        _SLURM,
        "there.get((number, identity), Known",
        "{key[0]: of for key, of in there.items()}.get(number, Known",
        (SLURM,),
    ),
    Mutant("a signal is no exit code", _SLURM_NODE, "code if code >= 0 else 128 - code", "code", (SLURM,)),
    Mutant("Ray has one chance to start", _SLURM_NODE, "MOST_STARTS = 3", "MOST_STARTS = 1", (SLURM_JOBS,)),
    Mutant("any option for sbatch", _SLURM, "({'|'.join(OPTIONS)})=", ".*=", (SLURM,)),
    Mutant("a % ends the command", _CRONTAB, '.replace("%", r"\\%")', "", (CRONTAB,)),
    Mutant("a --config= is not sent", _SUBMIT, 'if option == "--config" and', 'if option == "config" and', (SUBMIT,)),
    Mutant(
        "ray:// is like any other word",
        "pipelines/launchers/__init__.py",
        'if to.startswith("ray://"):',
        'if to.startswith("client://"):',
        (SUBMIT,),
    ),
    Mutant("a token for all users of a machine", _UP, "chmod 600 ~/.ray", "chmod 644 ~/.ray", (RAY_UP,)),
    Mutant("too few CPUs now are too few for ever", _CLUSTER, ".namespace == OWN:", ".namespace:", (AUTOSCALER,)),
    Mutant(
        "nobody asks where nobody is",
        "tasks/fleet/seats.py",
        "max(1, min(there(), num_blocks))",
        "min(there(), num_blocks)",
        (AUTOSCALER,),
    ),
    Mutant("a Ray of our own for the network", _SECURE, 'OSX_CLUSTER": "0"', 'OSX_CLUSTER": "1"', (OWN_RAY,)),
    Mutant(
        "a job that KubeRay gave up never ends", _KUBERNETES, '"Complete", "Failed")', '"Complete",)', (KUBERNETES,)
    ),
    Mutant("a log is cut short", _KUBERNETES, "if deployment in ENDED:", "if status:", (KUBERNETES,)),
    Mutant("a stopped RayJob runs", _KUBERNETES, 'elif found["spec"].get("suspend"):', "elif False:", (KUBERNETES,)),
    Mutant(
        "another's exit code",
        _KUBERNETES,
        "EXIT_CODE.match(",
        "re.compile(EXIT_CODE.pattern[23:]).search(",
        (KUBERNETES,),
    ),
    Mutant("what follows a full log is lost", _KUBERNETES, "if len(text) >= num_said else text", "", (KUBERNETES,)),
    Mutant(
        "Ray without a token passes", _LINT_KUBERNETES, '.get("mode") != "token"', '.get("mode") is None', (KUBERNETES,)
    ),
    Mutant(
        "a pod's own mode passes",
        _LINT_KUBERNETES,
        '"RAY_AUTH_MODE" and value != "token"',
        '"RAY_AUTH_MODE" and False',
        (KUBERNETES,),
    ),
    Mutant(
        "a key to Kubernetes for all",
        _LINT_KUBERNETES,
        '"automountServiceAccountToken") is not False',
        '"automountServiceAccountToken") == 1.5',
        (KUBERNETES,),
    ),
    Mutant("bounds turned around", _LINT_KUBERNETES, "not least <= number <= most", "False", (KUBERNETES,)),
    Mutant("a tick that ended is run again", _SUBMIT, "if is_tick and (", "if False and (", (SUBMIT,)),
    Mutant("a CronJob's ticks overlap", _CRONJOB, '"Forbid"', '"Allow"', (KUBERNETES_TIMER,)),
    Mutant("a CronJob skips nothing", _CRONJOB, 'if made.missed == "skip":', "if False:", (KUBERNETES_TIMER,)),
    Mutant("a CronJob wakes before its files", _CRONJOB, '"suspend": True', '"suspend": False', (KUBERNETES_TIMER,)),
    Mutant("a CronJob has one tick for ever", _CRONJOB, '"$(TICK)"]', '"$$(TICK)"]', (KUBERNETES_TIMER,)),
    Mutant("words are Kubernetes's variables", _CRONJOB, '.replace("$", "$$")', "", (KUBERNETES_TIMER,)),
    Mutant("a command that ended has a new pod", _CRONJOB, '"NotIn"', '"In"', (KUBERNETES_TIMER,)),
    Mutant(
        "a key for all containers",
        _CRONJOB,
        'ServiceAccountToken": False',
        'ServiceAccountToken": True',
        (KUBERNETES_TIMER,),
    ),
    Mutant("days that Kubernetes reads otherwise", _CRONJOB, '"*" in day + weekday', "False", (KUBERNETES_TIMER,)),
    Mutant("a tick ends as its first attempt", _HISTORY, "sorted(rayjobs, key=_age)", "rayjobs", (KUBERNETES_TIMER,)),
    Mutant(
        "a removed schedule takes its tick away",
        "pipelines/timers/kubernetes.py",
        'there["metadata"]["ownerReferences"] = []',
        "pass",
        (KUBERNETES_SCHEDULE,),
    ),
    Mutant(
        "a pod trusts any server",
        _IN_CLUSTER,
        "from ssl import create_default_context",
        "from ssl import _create_unverified_context as create_default_context",
        (IN_CLUSTER,),
    ),
    Mutant("a token is said", _IN_CLUSTER, "if not TOKEN.fullmatch(token):", "if not token:", (IN_CLUSTER,)),
)
