"""The tables of the service, in SQLite or PostgreSQL, which takes no text that is longer than its column.

Times are seconds since 1970. What a table holds of a patient (`studies`) is never written to a log.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION = 1
ACTOR = 96  # characters of who did something: the name of an account, or of a key with a prefix

metadata = MetaData()

versions = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

accounts = Table(
    "accounts",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("password", String(200), nullable=False),
    Column("created_at", Float, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(80), nullable=False),
    Column("role", String(16), nullable=False),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("account", String(80), ForeignKey("accounts.name", ondelete="CASCADE"), nullable=False),
    Column("csrf", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("actor", String(ACTOR), nullable=False),
    Column("files", Integer, nullable=False),
    Column("total_bytes", BigInteger, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("finished_at", Float),
)

studies = Table(
    "studies",
    metadata,
    Column("id", String(32), primary_key=True),  # of the content of its files
    Column("study_uid", String(64), nullable=False, default="", index=True),
    Column("upload_id", String(32), nullable=False),
    Column("received_at", Float, nullable=False),
    Column("superseded_by", String(32)),
    Column("header", JSON, nullable=False),
    Column("files", Integer, nullable=False),
    Column("job_id", Integer, nullable=False),
    Column("decision", String(16)),
    Column("probability", Float),
    Column("phantom", Boolean, nullable=False, default=False),
    Column("result", String(200)),  # folder of the result, relative to the study's
    Column("resulted_at", Float),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("subject", String(32), nullable=False),
    Column("bundle", String(64), nullable=False, default=""),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False, default=0),
    Column("created_at", Float, nullable=False),
    Column("run_after", Float, nullable=False),
    Column("lease_until", Float),
    Column("worker", String(80)),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("stage", String(80), nullable=False, default=""),
    Column("share", Float, nullable=False, default=0.0),
    Column("error_kind", String(40), nullable=False, default=""),
    Column("error", Text, nullable=False, default=""),
    Column("trace", Text, nullable=False, default=""),
    UniqueConstraint("kind", "subject", "bundle", name="once_per_content_and_bundle"),
    Index("jobs_by_state", "state", "run_after"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("channel", String(16), nullable=False),
    Column("key", String(120), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("run_after", Float, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("delivered_at", Float),
    Column("error", Text, nullable=False, default=""),
    UniqueConstraint("channel", "key", name="told_once"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("study", String(32), ForeignKey("studies.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("bundle", String(64), nullable=False, default=""),
    Column("vertebra", String(2), nullable=False),
    Column("location", Integer),
    Column("verdict", String(16), nullable=False),
    Column("box_lps_mm", JSON),
    Column("note", Text, nullable=False, default=""),
    Column("actor", String(ACTOR), nullable=False),
    Column("at", Float, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False, index=True),
    Column("actor", String(ACTOR), nullable=False),
    Column("action", String(40), nullable=False, index=True),
    Column("object", String(80), nullable=False, default=""),
    Column("outcome", String(16), nullable=False),
    Column("address", String(64), nullable=False, default=""),
)
