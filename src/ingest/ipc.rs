//! The lengths that an Arrow file says of itself, held against the file.
//!
//! The one idea: a decoder sets memory aside as a message tells it, and a length that damage has made huge ends the process,
//! which no guard can catch. So every message's lengths are looked at first. Cost: a read of the metadata of each message,
//! and of 8 bytes a compressed buffer. A batch that cannot be read all the same is read again column by column, to name one.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader, read_footer_length};
use arrow::ipc::{Block, Message, root_as_footer, root_as_message};

use super::error::Place;
use super::guard::guarded;
use crate::limits::IPC_BUFFER_BYTES_MAX;

/// What is wrong, and where.
pub(super) type Fault = (Place, String);

/// What a file or a stream may say of itself, at the most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes of a buffer once unpacked.
    pub(super) buffer: u64,
    /// Bytes of all buffers once unpacked.
    pub(super) buffers: u64,
    /// Rows.
    pub(super) rows: u64,
}

impl Bounds {
    /// For files of the operator's: what would end the process.
    pub(super) const FILE: Self = Self { buffer: IPC_BUFFER_BYTES_MAX, buffers: u64::MAX, rows: u64::MAX };

    /// Takes off what a message says.
    fn spend(&mut self, rows: i64, bytes: u64) -> Result<(), String> {
        let rows = u64::try_from(rows).map_err(|_| "a negative number of rows".to_owned())?;
        self.rows = self.rows.checked_sub(rows).ok_or("too many rows")?;
        self.buffers = self.buffers.checked_sub(bytes).ok_or("too many bytes once unpacked")?;
        Ok(())
    }
}

fn fault(place: Place) -> impl Fn(io::Error) -> Fault {
    move |error| (place, error.to_string())
}

const OUT_OF_FILE: &str = "a length reaches past the end of the file";

/// Checks a file with a footer.
pub(super) fn check_file(handle: impl Read + Seek, bytes: u64, mut bounds: Bounds) -> Result<(), Fault> {
    let whole = |detail: &str| (Place::Whole, detail.to_owned());
    let mut file = BufReader::new(handle);
    let mut trailer = [0u8; 10];
    file.seek(SeekFrom::End(-10)).map_err(fault(Place::Whole))?;
    file.read_exact(&mut trailer).map_err(fault(Place::Whole))?;
    let length = read_footer_length(trailer).map_err(|error| whole(&error.to_string()))?;
    let begin = (bytes - 10).checked_sub(length as u64).ok_or_else(|| whole(OUT_OF_FILE))?;
    let mut footer = vec![0u8; length];
    file.seek(SeekFrom::Start(begin)).map_err(fault(Place::Whole))?;
    file.read_exact(&mut footer).map_err(fault(Place::Whole))?;
    let footer = root_as_footer(&footer).map_err(|error| whole(&error.to_string()))?;
    for block in footer.dictionaries().into_iter().flatten() {
        check_block(&mut file, block, bytes, Place::Whole, &mut bounds)?;
    }
    for (number, block) in footer.recordBatches().into_iter().flatten().enumerate() {
        check_block(&mut file, block, bytes, Place::Batch(number), &mut bounds)?;
    }
    Ok(())
}

fn check_block(
    file: &mut BufReader<impl Read + Seek>,
    block: &Block,
    bytes: u64,
    place: Place,
    bounds: &mut Bounds,
) -> Result<(), Fault> {
    let outside = || (place, OUT_OF_FILE.to_owned());
    let length = |value: i64| u64::try_from(value).ok().filter(|&length| length <= bytes).ok_or_else(outside);
    let (offset, body) = (length(block.offset())?, length(block.bodyLength())?);
    let metadata = length(block.metaDataLength().into())?;
    if metadata < 8 || offset + metadata + body > bytes {
        return Err(outside());
    }
    file.seek(SeekFrom::Start(offset)).map_err(fault(place))?;
    let mut message = vec![0u8; usize::try_from(metadata).map_err(|_| outside())?];
    file.read_exact(&mut message).map_err(fault(place))?;
    // Before the message stand its length and, but in old files, a mark.
    let begin = if message[..4] == [0xFF; 4] { 8 } else { 4 };
    let message = root_as_message(&message[begin..]).map_err(|error| (place, error.to_string()))?;
    check_buffers(file, &message, offset + metadata, body, place, bounds)
}

/// Checks a stream: messages one after the other.
pub(super) fn check_stream(handle: impl Read + Seek, bytes: u64, mut bounds: Bounds) -> Result<(), Fault> {
    let mut file = BufReader::new(handle);
    let (mut at, mut batches) = (0u64, 0);
    loop {
        let place = Place::Batch(batches);
        let outside = || (place, OUT_OF_FILE.to_owned());
        let mut word = [0u8; 4];
        let mut next = |at: &mut u64| -> Result<Option<[u8; 4]>, Fault> {
            if *at + 4 > bytes {
                return Ok(None);
            }
            file.read_exact(&mut word).map_err(fault(place))?;
            *at += 4;
            Ok(Some(word))
        };
        let length = match next(&mut at)? {
            Some([0xFF, 0xFF, 0xFF, 0xFF]) => next(&mut at)?,
            length => length,
        };
        let Some(length) = length.map(u32::from_le_bytes).filter(|&length| length > 0) else { return Ok(()) };
        let end = at + u64::from(length);
        if end > bytes {
            return Err(outside());
        }
        let mut message = vec![0u8; length as usize];
        file.read_exact(&mut message).map_err(fault(place))?;
        let message = root_as_message(&message).map_err(|error| (place, error.to_string()))?;
        let body = u64::try_from(message.bodyLength()).ok().filter(|&body| body <= bytes - end).ok_or_else(outside)?;
        check_buffers(&mut file, &message, end, body, place, &mut bounds)?;
        batches += usize::from(message.header_as_record_batch().is_some());
        at = end + body;
        file.seek(SeekFrom::Start(at)).map_err(fault(place))?;
    }
}

/// Checks the buffers of a message whose body begins at `begin`: where they lie, and how long they say they are once unpacked.
fn check_buffers(
    file: &mut BufReader<impl Read + Seek>,
    message: &Message<'_>,
    begin: u64,
    body: u64,
    place: Place,
    bounds: &mut Bounds,
) -> Result<(), Fault> {
    let dictionary = message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data());
    let Some(batch) = message.header_as_record_batch().or(dictionary) else { return Ok(()) };
    let packed = batch.compression().is_some();
    let spent = |rows, bytes, bounds: &mut Bounds| bounds.spend(rows, bytes).map_err(|detail| (place, detail));
    spent(batch.length(), 0, bounds)?;
    for buffer in batch.buffers().into_iter().flatten() {
        let span = u64::try_from(buffer.offset()).ok().zip(u64::try_from(buffer.length()).ok());
        let span = span.filter(|&(offset, length)| offset.checked_add(length).is_some_and(|end| end <= body));
        let (offset, length) = span.ok_or_else(|| (place, OUT_OF_FILE.to_owned()))?;
        let mut unpacked = length;
        if packed && length >= 8 {
            let mut said = [0u8; 8];
            file.seek(SeekFrom::Start(begin + offset)).map_err(fault(place))?;
            file.read_exact(&mut said).map_err(fault(place))?;
            // What is kept as it is says -1.
            unpacked = u64::try_from(i64::from_le_bytes(said)).unwrap_or(length);
        }
        if packed && unpacked > bounds.buffer {
            return Err((place, format!("a buffer of {unpacked} bytes once unpacked")));
        }
        spent(0, unpacked, bounds)?;
    }
    Ok(())
}

/// The first column of a batch that cannot be read by itself, and what its decoder says.
pub(super) fn failing_column(path: &Path, is_file: bool, batch: usize) -> Option<(String, String)> {
    let open = || Ok::<_, ArrowError>(BufReader::new(File::open(path)?));
    let schema = guarded(|| {
        if is_file {
            FileReader::try_new(open()?, None).map(|reader| reader.schema())
        } else {
            StreamReader::try_new(open()?, None).map(|reader| reader.schema())
        }
    });
    let read = |column: usize| {
        guarded(|| {
            let only = Some(vec![column]);
            if is_file {
                let mut reader = FileReader::try_new(open()?, only)?;
                reader.set_index(batch)?;
                reader.next().transpose()
            } else {
                StreamReader::try_new(open()?, only)?.nth(batch).transpose()
            }
        })
    };
    let schema = schema.ok()?;
    let mut columns = schema.fields().iter().enumerate();
    columns.find_map(|(column, field)| read(column).err().map(|detail| (field.name().clone(), detail)))
}
