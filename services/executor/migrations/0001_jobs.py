"""Jobs, owners' accounts, workers."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE jobs (
            id uuid PRIMARY KEY,
            queue_number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
            owner_id uuid NOT NULL,
            model text NOT NULL,
            prompt text NOT NULL,
            negative_prompt text NOT NULL,
            width integer NOT NULL,
            height integer NOT NULL,
            steps integer NOT NULL,
            cfg double precision NOT NULL,
            seed bigint NOT NULL CONSTRAINT seed_fits_json CHECK (seed BETWEEN 0 AND 9007199254740991),
            count integer NOT NULL,
            state text NOT NULL
                CONSTRAINT known_state CHECK (state IN ('pending', 'processing', 'completed', 'failed', 'canceled')),
            version bigint NOT NULL,
            lease_epoch integer NOT NULL,
            attempts integer NOT NULL,
            engine_id uuid,
            prompt_id uuid,
            lease_expires_at timestamptz,
            cost double precision NOT NULL,
            cancel_requested boolean NOT NULL,
            discard_pending boolean NOT NULL,
            failure_reason text,
            failure_message text,
            origin text NOT NULL,
            created_at timestamptz NOT NULL,
            started_at timestamptz,
            finished_at timestamptz,
            CONSTRAINT lease_is_whole CHECK (num_nulls(engine_id, prompt_id, lease_expires_at) IN (0, 3)),
            CONSTRAINT finished_in_final_states_only
                CHECK ((finished_at IS NOT NULL) = (state IN ('completed', 'failed', 'canceled'))),
            CONSTRAINT no_lease_after_the_end CHECK (finished_at IS NULL OR lease_expires_at IS NULL),
            CONSTRAINT processing_is_leased CHECK (state <> 'processing' OR lease_expires_at IS NOT NULL),
            CONSTRAINT failed_with_a_reason CHECK ((state = 'failed') = (failure_reason IS NOT NULL))
        )
    """)
    op.execute("""
        CREATE INDEX jobs_waiting ON jobs (model, owner_id, queue_number)
            WHERE state = 'pending' AND engine_id IS NULL
    """)
    op.execute("CREATE INDEX jobs_leased ON jobs (lease_expires_at) WHERE lease_expires_at IS NOT NULL")
    op.execute("CREATE INDEX jobs_to_discard ON jobs (id) WHERE discard_pending")
    op.execute("""
        CREATE TABLE owners (
            id uuid PRIMARY KEY,
            vtime double precision NOT NULL,
            weight double precision NOT NULL DEFAULT 1 CONSTRAINT weight_is_positive CHECK (weight > 0)
        )
    """)
    op.execute("""
        CREATE TABLE fair_share_clock (
            only_row boolean PRIMARY KEY DEFAULT true CONSTRAINT one_row CHECK (only_row),
            v double precision NOT NULL
        )
    """)
    op.execute("INSERT INTO fair_share_clock (v) VALUES (0)")
    op.execute("""
        CREATE TABLE workers (
            engine_id uuid PRIMARY KEY,
            models text[] NOT NULL,
            engine_version text NOT NULL,
            device text NOT NULL,
            vram_total bigint NOT NULL,
            healthy boolean NOT NULL,
            seen_at timestamptz NOT NULL
        )
    """)
