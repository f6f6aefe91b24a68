//! Every bound of the engine, in one place, with the relations between them asserted.

/// Most rules in a rule set: they fit one machine word.
pub const RULES_MAX: usize = 64;
/// Most days of retention: the days of a health record fit one machine word.
pub const RETENTION_DAYS_MAX: u32 = 60;
/// Longest person or place token in bytes.
pub const KEY_BYTES_MAX: usize = 64;
/// How many days ahead a person's best future is played through: past that only what ends by itself is foreseen.
pub const FORECAST_DAYS_MAX: u32 = 366;

const _: () = assert!(RULES_MAX <= u64::BITS as usize);
const _: () = assert!(RETENTION_DAYS_MAX < u64::BITS);

/// Most rows decoded from a columnar file at once: all that is between a file's pages and a table's columns stays in cache.
pub const DECODE_ROWS_MAX: usize = 8_192;
/// Most rows for which memory is set aside because a Parquet footer says so.
pub const ROW_GROUP_ROWS_RESERVED_MAX: usize = 1 << 22;
/// Longest buffer of an Arrow file once unpacked, in bytes: a longer one is damage, and would end the process.
pub const IPC_BUFFER_BYTES_MAX: u64 = 1 << 32;
/// Most records in one block of text.
pub const TEXT_BLOCK_ROWS_MAX: usize = 8_192;
/// Bytes of records at which a block of text is full, however few they are.
pub const TEXT_BLOCK_BYTES: usize = 1 << 22;
/// Most blocks of text read but not parsed yet.
pub const TEXT_BLOCKS_PENDING_MAX: usize = 8;
/// Longest line of NDJSON, and longest record of CSV, in bytes.
pub const TEXT_LINE_BYTES_MAX: usize = 1 << 24;
/// Longest message of a feed, in bytes: a row of a table with its schema around it, and much more than that.
pub const FEED_MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Rows of one column, and tokens, below which a pass over them is one thread's: to wake another costs more. A feed's batch may be
/// a single row.
pub const ROWS_PER_TASK: usize = 4_096;
/// Rows that come to a table later and lie in one chunk: what is copied when one of them changes while others read it.
pub const ROWS_PER_CHUNK: usize = 1_024;
/// Most rows of a table: they are numbered by 32 bits, and both ends of a contact are.
pub const TABLE_ROWS_MAX: usize = u32::MAX as usize / 2;
/// People evaluated by one task of the pool: enough to hide its cost, few enough that threads finish together.
pub const PEOPLE_PER_TASK: usize = 4_096;
/// People for each one touched by a change, below which everybody is evaluated instead: a pass over all costs some 40 ns a
/// person, a visit to one out of order some 1 µs. `benches/live.rs`.
pub const PEOPLE_PER_TOUCHED_MIN: usize = 24;
/// People touched by a change that one task of the pool evaluates.
pub const TOUCHED_PER_TASK: usize = 256;
/// Most bytes of a feed read at once: what is waiting becomes one step.
pub const FEED_BLOCK_BYTES: usize = 1 << 18;
/// Most blocks of a feed that are decoded and not applied yet.
pub const FEED_BLOCKS_PENDING_MAX: usize = 4;
/// Most bytes of a file's rows that are taken from a watched folder at once, with what is told of each besides: refused, each byte is
/// seven at the most (a control character, quoted twice), and still fits the journal.
pub const FILE_ROWS_BYTES_MAX: usize = 1 << 22;
/// What is told of a refused row besides itself, its columns and its file, in bytes at the most.
pub const REFUSAL_BYTES: usize = 1 << 8;
/// Least time between two looks at a watched folder, in milliseconds: a file is taken once two in a row saw it alike.
pub const WATCH_MILLIS_MIN: u64 = 200;
/// How much longer it is for each file there, in microseconds: to look at one costs some two.
pub const WATCH_FILE_MICROS: u64 = 40;
/// Most files of a watched folder of which is told that they are not taken.
pub const NOTES_MAX: usize = 64;
/// Changes after which a Parquet file of them is followed by another one.
pub const CHANGES_FILE_ROWS: u64 = 1 << 18;
/// Minutes after its first change at which such a file is followed by another one.
pub const CHANGES_FILE_MINUTES: i64 = 15;
/// Most batches of changes that wait for being encoded as Parquet.
pub const CHANGES_PENDING_MAX: usize = 8;
/// Most requests that wait for a run; who comes then waits to get in.
pub const REQUESTS_PENDING_MAX: usize = 256;
/// Least time between two views of a city, in milliseconds: after each, what is changed next is copied first.
pub const VIEW_MILLIS_MIN: u64 = 50;
/// Most requests whose messages are journalled with one sync.
pub const REQUESTS_PER_GROUP_MAX: usize = 64;
/// How often a copy of a store is begun anew because the run dropped what was being copied.
pub const COPY_TRIES_MAX: u32 = 10;
/// Longest body of a request, in bytes: what it says is one group of the journal.
pub const REQUEST_BYTES_MAX: usize = 1 << 22;
/// Most bytes of all buffers of an Arrow stream in a request, once unpacked: it takes no more room in the journal than the longest
/// body of text.
pub const STREAM_BYTES_MAX: u64 = REQUEST_BYTES_MAX as u64;
/// Most rows of such a stream: a row of nulls has no bytes.
pub const STREAM_ROWS_MAX: u64 = 1 << 17;
/// How much of a body of text a row of such a stream is worth, its texts aside.
pub const STREAM_ROW_BYTES: usize = REQUEST_BYTES_MAX >> 17;
/// Most bytes of the texts of a record batch of such a stream, if all of its rows had the longest one: rows may share texts, and a
/// refusal spells them out.
pub const STREAM_TEXT_BYTES_MAX: usize = 1 << 26;
/// Bytes of the journal that a byte of messages takes at most, those aside that are refused: ticks, of which each is a record.
pub const JOURNAL_BYTES_PER_BYTE: usize = 4;
/// Most names of columns of a table that are remembered because there is no such column.
pub const UNKNOWN_COLUMNS_MAX: usize = 64;
/// Most who follow the changes of a run at once.
pub const SUBSCRIBERS_MAX: usize = 1_000;
/// Bytes of the file of changes that are read for a subscriber at once: what it has not taken yet is at most some of these.
pub const SUBSCRIBER_BYTES: usize = 1 << 16;
/// Seconds after which a subscriber that is told nothing is told so: its proxy would take the silence for the end.
pub const SUBSCRIBER_SILENCE_SECONDS: u64 = 15;
/// Longest time, in milliseconds, until an idle run looks at the clock: so late may a change be that time alone makes.
pub const TIMER_MILLIS_MAX: u64 = 100;
/// Longest group of payloads that the journal takes at once, in bytes; what a damaged length can make it read.
pub const JOURNAL_FRAME_BYTES_MAX: usize = 1 << 26;
/// Bytes after which a segment of the journal is followed by another one: one is in memory while it is replayed.
pub const JOURNAL_SEGMENT_BYTES: u64 = 1 << 26;
/// Bytes of records of the journal that are handed on together to be applied, when it is replayed.
pub const REPLAY_BYTES: usize = 1 << 18;
/// Most such lots that are ready before they are applied.
pub const REPLAY_LOTS_MAX: usize = 4;
/// Rows past their retention that one step forgets: what comes meanwhile waits for a sync and half a millisecond. Ten times as many are
/// forgotten in half the time, and keep others waiting four times as long.
pub const FORGET_ROWS_MAX: usize = 200;
/// How often, in milliseconds, such a step is made while something waits.
pub const FORGET_MILLIS: u64 = 10;
/// Rows that one step forgets when nothing is followed any more, so that nobody waits.
pub const FORGET_ROWS_ALONE: usize = 20_000;
/// Of how many rows one is past its retention when a start takes all of those out at once: to make all columns anew costs as much a row
/// as a tenth of taking one out.
pub const FORGET_SHARE: usize = 16;
/// Fewest full segments of the journal that a checkpoint is made for.
pub const CHECKPOINT_SEGMENTS_MIN: usize = 4;
/// Full segments of the journal for which a checkpoint is made, however large it is: a start replays them.
pub const CHECKPOINT_SEGMENTS_MAX: usize = 16;
/// A checkpoint is made once the journal since the last one is one in so many of the bytes of its tables: so many bytes of tables are
/// written again at most for each byte of the journal, and somewhat more of columns.
pub const CHECKPOINT_SHARE: u64 = 4;
/// Rows of a checkpoint's table that are handled at once.
pub const CHECKPOINT_BATCH_ROWS: usize = 8_192;
/// Rows in a row group of a checkpoint's table.
pub const CHECKPOINT_GROUP_ROWS: usize = 1 << 20;
/// Stays at one place that a task of the pool holds against those of cases.
pub const STAYS_PER_TASK: usize = 1_024;
/// Rows of one state that a task of the pool merges with those of another.
pub const MERGE_ROWS: usize = 16_384;
/// Words of a set of persons that belong to one task, so that tasks fill a set side by side.
pub const WORDS_PER_TASK: usize = PEOPLE_PER_TASK / u64::BITS as usize;
/// Most rows in one batch of an output.
pub const OUTPUT_ROWS_MAX: usize = 65_536;
/// Most batches of an output built side by side before they are written.
pub const OUTPUT_BATCHES_AT_ONCE: usize = 8;
/// Batches in a row group of an output: enough rows that its footer costs nothing, few enough that a small output has several.
pub const OUTPUT_GROUP_BATCHES: usize = 2;
/// Most row groups a thread encodes before those made so far are written: enough that threads finish together.
pub const ROW_GROUPS_PER_THREAD: usize = 4;
/// Rows in a row group of a generated table; few in tests, so that small cities have several.
pub const GENERATED_GROUP_ROWS: usize = if cfg!(test) { 1 << 13 } else { 1 << 20 };
/// Rows of a generated table made at once by one thread.
pub const GENERATED_BATCH_ROWS: usize = if cfg!(test) { 1 << 11 } else { 1 << 16 };
/// Most people of a generated city: four facts a person and table still have 32-bit row numbers.
pub const GENERATED_PEOPLE_MAX: u32 = 1_000_000_000;
/// Most days of a generated city.
pub const GENERATED_DAYS_MAX: u32 = 366;
/// Rows of a table that a query takes or passes over together; few in tests, so that small tables have several.
pub const QUERY_ZONE_ROWS: usize = if cfg!(test) { 1 << 8 } else { 1 << 16 };
/// Longest answer of a run that the command line reads.
pub const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Bytes of a file of lines that a query reads as one part, on one thread.
pub const QUERY_TOLD_BYTES: u64 = if cfg!(test) { 1 << 8 } else { 10 << 20 };
/// A query takes the rows that an index names if they are at most one in so many: to fetch a row by itself costs some ten times of
/// what a pass over the columns costs it.
pub const QUERY_INDEX_SHARE: usize = 16;
/// Most connections that a door of questions keeps.
pub const LINES_MAX: usize = 1 << 10;
/// Most statements that are prepared at a door; beyond that the oldest is forgotten.
pub const STATEMENTS_PREPARED_MAX: usize = 1 << 10;
/// Most batches of an answer that are ready before anybody has taken them.
pub const QUERY_BATCHES_PENDING_MAX: usize = 2;
/// Longest text of statements, in bytes.
pub const QUERY_BYTES_MAX: usize = 1 << 20;
/// Most words and signs of the statements in a text: a plan is made by calls within calls, and each is some kB of stack.
pub const QUERY_TOKENS_MAX: usize = 10_000;
/// Stack of a thread that plans and answers queries, in bytes; only what is used of it is memory.
pub const QUERY_STACK_BYTES: usize = 1 << 28;
/// Most alternatives that a scan decides, each of which is a pass of its own.
pub const QUERY_ALTERNATIVES_MAX: usize = 8;
/// Most instants besides the snapshot's own whose codes are kept for further queries.
pub const QUERY_INSTANTS_KEPT_MAX: usize = 4;
/// Most rows of a table that is shown: its columns are as wide as the widest of them, so all are held.
pub const SHOWN_ROWS_MAX: usize = 100_000;
/// Most rows that the prompt shows of an answer.
pub const PROMPT_ROWS_MAX: usize = 1_000;
/// Longest time until a query notices Ctrl-C, in milliseconds.
pub const SIGNAL_MILLIS_MAX: u64 = 50;
/// Furthest degree of contacts that can be asked for: beyond it nearly everybody has met everybody.
pub const QUERY_DEGREE_MAX: i64 = 3;

const _: () = assert!(TEXT_BLOCK_BYTES <= TEXT_LINE_BYTES_MAX);
const _: () = assert!(FEED_MESSAGE_BYTES_MAX <= TEXT_LINE_BYTES_MAX);
const _: () = assert!(WORDS_PER_TASK * u64::BITS as usize == PEOPLE_PER_TASK);
const _: () = assert!(DECODE_ROWS_MAX <= ROW_GROUP_ROWS_RESERVED_MAX);
const _: () = assert!(GENERATED_GROUP_ROWS.is_multiple_of(GENERATED_BATCH_ROWS));
const _: () = assert!(CHECKPOINT_SEGMENTS_MIN <= CHECKPOINT_SEGMENTS_MAX);
// Of the longest body as much is refused as is taken, and it still fits.
const _: () = assert!(2 * JOURNAL_BYTES_PER_BYTE * REQUEST_BYTES_MAX <= JOURNAL_FRAME_BYTES_MAX / 2);
const _: () = assert!(7 * FILE_ROWS_BYTES_MAX < JOURNAL_FRAME_BYTES_MAX / 2);
const _: () = assert!(STREAM_ROW_BYTES as u64 * STREAM_ROWS_MAX == REQUEST_BYTES_MAX as u64);
const _: () = assert!(FORECAST_DAYS_MAX > 2 * RETENTION_DAYS_MAX);
