//! Typed and dynamic client over one seam: a socket, or in process.
