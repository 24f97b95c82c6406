"""Tasks, the models on offer."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE generation_tasks (
            id uuid PRIMARY KEY,
            user_id uuid NOT NULL,
            prompt text NOT NULL,
            negative_prompt text NOT NULL,
            model_name text NOT NULL,
            width integer NOT NULL,
            height integer NOT NULL,
            steps integer NOT NULL,
            cfg double precision NOT NULL,
            seed bigint NOT NULL CONSTRAINT seed_fits_json CHECK (seed BETWEEN 0 AND 9007199254740991),
            count integer NOT NULL,
            status text NOT NULL
                CONSTRAINT known_status CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'canceled')),
            request_id text,
            request_hash bytea,
            waiting_reason text,
            failure_reason text,
            failure_message text,
            job_version bigint NOT NULL,
            submit_tried_at timestamptz,
            submitted_at timestamptz,
            cancel_requested_at timestamptz,
            origin text NOT NULL,
            created_at timestamptz NOT NULL,
            started_at timestamptz,
            finished_at timestamptz,
            CONSTRAINT finished_in_final_states_only
                CHECK ((finished_at IS NOT NULL) = (status IN ('completed', 'failed', 'canceled'))),
            CONSTRAINT waits_with_a_reason CHECK ((status = 'pending') = (waiting_reason IS NOT NULL)),
            CONSTRAINT failed_with_a_reason CHECK ((status = 'failed') = (failure_reason IS NOT NULL)),
            CONSTRAINT failure_is_whole CHECK (num_nulls(failure_reason, failure_message) IN (0, 2)),
            CONSTRAINT request_is_whole CHECK (num_nulls(request_id, request_hash) IN (0, 2)),
            CONSTRAINT known_job_is_submitted CHECK ((job_version > 0) = (submitted_at IS NOT NULL))
        )
    """)
    op.execute("""
        CREATE UNIQUE INDEX generation_tasks_request ON generation_tasks (user_id, request_id)
            WHERE request_id IS NOT NULL
    """)
    op.execute("CREATE INDEX generation_tasks_history ON generation_tasks (user_id, id DESC)")
    op.execute("CREATE INDEX generation_tasks_queued ON generation_tasks (user_id) WHERE finished_at IS NULL")
    op.execute("CREATE INDEX generation_tasks_unfinished ON generation_tasks (id) WHERE finished_at IS NULL")
    op.execute("""
        CREATE INDEX generation_tasks_outbox ON generation_tasks (submit_tried_at NULLS FIRST, id)
            WHERE submitted_at IS NULL AND finished_at IS NULL
    """)
    op.execute("""
        CREATE TABLE models (
            id uuid PRIMARY KEY,
            name text NOT NULL UNIQUE,
            display_name jsonb NOT NULL,
            description jsonb NOT NULL,
            license text NOT NULL,
            limits jsonb NOT NULL,
            defaults jsonb NOT NULL,
            negative_prompt_supported boolean NOT NULL,
            availability text NOT NULL
                CONSTRAINT known_availability CHECK (availability IN ('available', 'cold', 'unavailable')),
            unavailable_reason text NOT NULL,
            position integer,
            is_active boolean NOT NULL DEFAULT true,
            updated_at timestamptz NOT NULL
        )
    """)
