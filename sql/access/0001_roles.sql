-- For a ClickHouse server (isotherm migrate --access); the embedded store has the same rules built in.
-- The limits are those of sql/guard.py, and a test holds them equal. Users are the operator's business:
--   CREATE USER ann IDENTIFIED WITH sha256_password BY '...' DEFAULT ROLE isotherm_analyst DEFAULT DATABASE market
CREATE ROLE IF NOT EXISTS isotherm_writer, isotherm_analyst, isotherm_board;

GRANT SELECT, INSERT ON market.* TO isotherm_writer;

GRANT SELECT, SHOW ON market.* TO isotherm_analyst, isotherm_board;

CREATE SETTINGS PROFILE OR REPLACE isotherm_writer SETTINGS
    max_execution_time = 600,
    max_memory_usage = 3000000000,
    max_partitions_per_insert_block = 0,
    async_insert = 0
TO isotherm_writer;

CREATE SETTINGS PROFILE OR REPLACE isotherm_analyst SETTINGS
    max_execution_time = 60 MAX 60 CHANGEABLE_IN_READONLY,
    max_memory_usage = 2000000000,
    max_result_rows = 5000000,
    max_result_bytes = 268435456,
    max_rows_to_read = 5000000000,
    max_threads = 4,
    result_overflow_mode = 'throw',
    read_overflow_mode = 'throw',
    timeout_overflow_mode = 'throw',
    final = 1,
    do_not_merge_across_partitions_select_final = 1,
    readonly = 1
TO isotherm_analyst;

CREATE SETTINGS PROFILE OR REPLACE isotherm_board SETTINGS
    max_execution_time = 20 MAX 20 CHANGEABLE_IN_READONLY,
    max_memory_usage = 1000000000,
    max_result_rows = 1000000,
    max_result_bytes = 268435456,
    max_rows_to_read = 5000000000,
    max_threads = 4,
    result_overflow_mode = 'throw',
    read_overflow_mode = 'throw',
    timeout_overflow_mode = 'throw',
    final = 1,
    do_not_merge_across_partitions_select_final = 1,
    readonly = 1
TO isotherm_board;

CREATE QUOTA OR REPLACE isotherm_analyst KEYED BY user_name
    FOR INTERVAL 1 minute MAX queries = 120, execution_time = 120,
    FOR INTERVAL 1 hour MAX queries = 3600, execution_time = 1800
TO isotherm_analyst;

-- A board asks for each of its panels at every refresh.
CREATE QUOTA OR REPLACE isotherm_board KEYED BY user_name
    FOR INTERVAL 1 minute MAX queries = 3000, execution_time = 600
TO isotherm_board;
