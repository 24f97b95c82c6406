"""Heads of the queue, a clock for each engine, what is learnt, and what workers tell of themselves."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE jobs
            ADD COLUMN adoptions integer NOT NULL DEFAULT 0,
            ADD COLUMN memory_failures integer NOT NULL DEFAULT 0,
            ADD COLUMN forecast_position integer,
            ADD COLUMN forecast_seconds double precision,
            ADD COLUMN forecast_at timestamptz,
            ADD CONSTRAINT forecast_is_whole
                CHECK (num_nulls(forecast_position, forecast_seconds, forecast_at) IN (0, 3))
    """)
    op.execute("CREATE INDEX jobs_unfinished ON jobs (id) WHERE finished_at IS NULL")
    op.execute("CREATE INDEX jobs_held_by_engine ON jobs (engine_id) WHERE engine_id IS NOT NULL")
    op.execute("CREATE INDEX jobs_held_of_owner ON jobs (owner_id) WHERE engine_id IS NOT NULL")
    op.execute("""
        ALTER TABLE owners
            ADD COLUMN running_cap integer CONSTRAINT running_cap_is_positive CHECK (running_cap > 0)
    """)
    op.execute("""
        CREATE TABLE lanes (
            owner_id uuid NOT NULL,
            model text NOT NULL,
            job_id uuid NOT NULL,
            queue_number bigint NOT NULL,
            vtime double precision NOT NULL,
            is_open boolean NOT NULL,
            PRIMARY KEY (owner_id, model)
        )
    """)
    op.execute("CREATE INDEX lanes_order ON lanes (model, vtime, queue_number) WHERE is_open")
    op.execute("""
        INSERT INTO lanes (owner_id, model, job_id, queue_number, vtime, is_open)
        SELECT DISTINCT ON (jobs.owner_id, model) jobs.owner_id, model, jobs.id, queue_number, vtime, true
        FROM jobs JOIN owners ON owners.id = jobs.owner_id
        WHERE state = 'pending' AND engine_id IS NULL
        ORDER BY jobs.owner_id, model, queue_number
    """)
    op.execute("""
        ALTER TABLE workers
            ADD COLUMN missing jsonb NOT NULL DEFAULT '{}',
            ADD COLUMN loaded_model text NOT NULL DEFAULT '',
            ADD COLUMN is_loading boolean NOT NULL DEFAULT false,
            ADD COLUMN vram_free bigint NOT NULL DEFAULT 0,
            ADD COLUMN problem text NOT NULL DEFAULT '',
            ADD COLUMN quarantined_until timestamptz,
            ADD COLUMN drained boolean NOT NULL DEFAULT false,
            ADD COLUMN resumed_at timestamptz
    """)
    op.execute("ALTER TABLE workers RENAME COLUMN healthy TO is_well")
    op.execute("""
        CREATE TABLE estimates (
            kind text NOT NULL CONSTRAINT known_kind CHECK (kind IN ('run', 'load', 'finish')),
            model text NOT NULL,
            engine_id uuid,
            size integer NOT NULL,
            samples double precision[] NOT NULL,
            CONSTRAINT estimates_key UNIQUE NULLS NOT DISTINCT (kind, model, engine_id, size)
        )
    """)
    op.execute("CREATE TABLE clocks (engine_id uuid PRIMARY KEY, v double precision NOT NULL)")
    op.execute("INSERT INTO clocks (engine_id, v) SELECT engine_id, v FROM workers, fair_share_clock")
    op.execute("DROP TABLE fair_share_clock")
