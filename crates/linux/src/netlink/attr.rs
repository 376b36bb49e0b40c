//! Netlink messages as bytes: a writer of nested attributes and its reader.

/// Length of a message header.
pub(super) const HEADER: usize = 16;
const ATTR_HEADER: usize = 4;
const NESTED: u16 = 0x8000;
const KIND_MASK: u16 = 0x3fff;

/// Bytes of messages under construction.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Nothing written yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How much was written.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// A whole message: header, then what `body` writes.
    pub fn message(&mut self, kind: u16, flags: u16, seq: u32, body: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.raw(&[0; 4]);
        self.raw(&kind.to_ne_bytes());
        self.raw(&flags.to_ne_bytes());
        self.raw(&seq.to_ne_bytes());
        self.raw(&[0; 4]);
        body(self);
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        self.pad();
    }

    /// Bytes as they are: the fixed part of a message.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// An attribute of plain bytes.
    ///
    /// # Panics
    /// If it does not fit into the 16 bits of its length: callers cut lists
    /// into messages and validate names long before.
    pub fn attr(&mut self, kind: u16, payload: &[u8]) {
        let length = u16::try_from(ATTR_HEADER + payload.len());
        let length = length.unwrap_or_else(|_| panic!("attribute {kind} exceeds 64 KiB"));
        self.raw(&length.to_ne_bytes());
        self.raw(&kind.to_ne_bytes());
        self.raw(payload);
        self.pad();
    }

    /// A byte.
    pub fn u8(&mut self, kind: u16, value: u8) {
        self.attr(kind, &[value]);
    }

    /// Sixteen bits, the host's order.
    pub fn u16(&mut self, kind: u16, value: u16) {
        self.attr(kind, &value.to_ne_bytes());
    }

    /// Sixteen bits, network order.
    pub fn be16(&mut self, kind: u16, value: u16) {
        self.attr(kind, &value.to_be_bytes());
    }

    /// Thirty-two bits, the host's order.
    pub fn u32(&mut self, kind: u16, value: u32) {
        self.attr(kind, &value.to_ne_bytes());
    }

    /// Thirty-two bits, network order.
    pub fn be32(&mut self, kind: u16, value: u32) {
        self.attr(kind, &value.to_be_bytes());
    }

    /// Sixty-four bits, network order.
    pub fn be64(&mut self, kind: u16, value: u64) {
        self.attr(kind, &value.to_be_bytes());
    }

    /// A string with its final NUL.
    pub fn str(&mut self, kind: u16, value: &str) {
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
        self.attr(kind, &bytes);
    }

    /// An attribute of attributes, marked as such.
    pub fn nest(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        self.nest_plain(kind | NESTED, body);
    }

    /// An attribute of attributes without the mark, as routing messages of
    /// old spell it.
    ///
    /// # Panics
    /// If it exceeds 64 KiB, as [`Writer::attr`].
    pub fn nest_plain(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.raw(&[0; 2]);
        self.raw(&kind.to_ne_bytes());
        body(self);
        let length = u16::try_from(self.bytes.len() - start);
        let length = length.unwrap_or_else(|_| panic!("attribute {kind:#x} exceeds 64 KiB"));
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// The attributes in a stretch of bytes. Damage ends the iteration.
#[derive(Clone, Copy, Debug)]
pub struct Attrs<'a> {
    rest: &'a [u8],
}

impl<'a> Attrs<'a> {
    /// Reads `bytes` as attributes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Reads what follows a message's fixed part of `skip` bytes.
    pub fn after(message: &'a [u8], skip: usize) -> Self {
        Self::new(message.get(skip..).unwrap_or_default())
    }

    /// The payload of the first attribute of this kind.
    pub fn get(self, kind: u16) -> Option<&'a [u8]> {
        self.into_iter()
            .find(|(found, _)| *found == kind)
            .map(|(_, payload)| payload)
    }

    /// The attributes inside that attribute; none if it is absent.
    pub fn nested(self, kind: u16) -> Self {
        Self::new(self.get(kind).unwrap_or_default())
    }

    /// A byte.
    pub fn u8(self, kind: u16) -> Option<u8> {
        self.get(kind)?.first().copied()
    }

    /// Sixteen bits, network order.
    pub fn be16(self, kind: u16) -> Option<u16> {
        Some(u16::from_be_bytes(
            self.get(kind)?.get(..2)?.try_into().ok()?,
        ))
    }

    /// Thirty-two bits, the host's order.
    pub fn u32(self, kind: u16) -> Option<u32> {
        Some(u32::from_ne_bytes(
            self.get(kind)?.get(..4)?.try_into().ok()?,
        ))
    }

    /// Thirty-two bits, network order.
    pub fn be32(self, kind: u16) -> Option<u32> {
        Some(u32::from_be_bytes(
            self.get(kind)?.get(..4)?.try_into().ok()?,
        ))
    }

    /// Sixty-four bits, network order.
    pub fn be64(self, kind: u16) -> Option<u64> {
        Some(u64::from_be_bytes(
            self.get(kind)?.get(..8)?.try_into().ok()?,
        ))
    }

    /// A string up to its NUL.
    pub fn string(self, kind: u16) -> Option<String> {
        let bytes = self.get(kind)?;
        let end = bytes.iter().position(|byte| *byte == 0);
        let text = &bytes[..end.unwrap_or(bytes.len())];
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

impl<'a> Iterator for Attrs<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let header = self.rest.get(..ATTR_HEADER)?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & KIND_MASK;
        let payload = self.rest.get(ATTR_HEADER..length)?;
        self.rest = self
            .rest
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
        Some((kind, payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_wrote() {
        let mut writer = Writer::new();
        writer.str(1, "abcd");
        writer.nest(2, |inner| {
            inner.u8(1, 7);
            inner.be32(3, 0x0102_0304);
        });
        writer.be64(4, 9);
        let attrs = Attrs::new(writer.bytes());
        assert_eq!(attrs.string(1).as_deref(), Some("abcd"));
        assert_eq!(attrs.nested(2).u8(1), Some(7));
        assert_eq!(attrs.nested(2).be32(3), Some(0x0102_0304));
        assert_eq!(attrs.be64(4), Some(9));
        assert_eq!(attrs.get(5), None);
    }

    #[test]
    fn damage_ends_the_reading() {
        assert_eq!(
            Attrs::new(&[3, 0, 1, 0]).count(),
            0,
            "shorter than a header"
        );
        assert_eq!(
            Attrs::new(&[9, 0, 1, 0, 0]).count(),
            0,
            "longer than the bytes"
        );
    }

    #[test]
    fn a_message_carries_its_length() {
        let mut writer = Writer::new();
        writer.message(5, 1, 9, |body| body.u8(1, 1));
        assert_eq!(writer.bytes()[..4], 24u32.to_ne_bytes());
        assert_eq!(writer.len(), HEADER + 8);
    }
}
