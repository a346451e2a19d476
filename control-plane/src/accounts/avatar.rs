//! Pictures of people: decoded within bounds, cut square, scaled, and encoded anew, so that what we serve is what we made.
//!
//! What came in beside the picture (where it was taken, comments, a second file behind the first) is not kept. Decoding runs
//! off the async threads, [`AT_ONCE`] at a time, and takes at most [`MAX_ALLOCATION`] each.

use std::io::Cursor;

use bytes::Bytes;
use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, imageops::FilterType, metadata::Orientation,
};
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use super::{Accounts, StoreError, UserId, secret::hex};

/// The largest picture that is taken, in bytes.
pub const MAX_AVATAR_BYTES: usize = 4 << 20;

/// The longest side of a picture that is taken, in pixels.
pub const MAX_AVATAR_SIDE: u32 = 4_096;

/// The sides of what is served, in pixels.
pub const AVATAR_SIDE: u32 = 256;

/// What a decoder may allocate, in bytes: the largest picture with four channels of eight bits takes half.
const MAX_ALLOCATION: u64 = 128 << 20;

/// How many pictures are decoded at once.
pub(super) const AT_ONCE: usize = 2;

/// Why a picture was not taken; the one before stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AvatarError {
    /// The person's: too many bytes.
    #[error("a picture has at most {MAX_AVATAR_BYTES} bytes; scale it down")]
    TooLarge,
    /// The person's: no picture, a kind that we don't take, damaged, or too many pixels.
    #[error("a picture is a PNG, JPEG or WebP file of at most {MAX_AVATAR_SIDE} × {MAX_AVATAR_SIDE} pixels: {0}")]
    NoPicture(String),
    /// The caller's: there is no such account, or no more.
    #[error("there is no such account")]
    NoSuchUser,
    /// Ours: the decoder failed, or too many wait. The remedy: try again.
    #[error("the picture could not be decoded at present; try again")]
    Busy,
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// Takes a picture for a user. Returns the hash by which [`Accounts::avatar`] finds what was made of it.
    ///
    /// # Errors
    /// See [`AvatarError`].
    pub async fn set_avatar(&self, id: &UserId, picture: Bytes) -> Result<String, AvatarError> {
        const SET: &str = "UPDATE users SET avatar = $2 WHERE id = $1";
        const UPSERT: &str = "INSERT INTO avatars (user_id, hash, png) VALUES ($1, $2, $3) \
                              ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, png = excluded.png";
        let png = self.decode(picture).await?;
        let hash = hex(&Sha256::digest(&png));
        let mut tx = self.db().begin().await?;
        if sqlx::query(SET).bind(id.as_str()).bind(&hash).execute(&mut *tx).await?.rows_affected() == 0 {
            return Err(AvatarError::NoSuchUser);
        }
        sqlx::query(UPSERT).bind(id.as_str()).bind(&hash).bind(png).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(hash)
    }

    async fn decode(&self, picture: Bytes) -> Result<Vec<u8>, AvatarError> {
        if picture.len() > MAX_AVATAR_BYTES {
            return Err(AvatarError::TooLarge);
        }
        let turn = self.0.avatars.clone().acquire_owned().await.map_err(|_| AvatarError::Busy)?;
        let made = spawn_blocking(move || {
            let _turn = turn;
            render(&picture)
        });
        made.await.map_err(|_| AvatarError::Busy)?
    }

    /// Takes a user's picture away.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_avatar(&self, id: &UserId) -> Result<(), StoreError> {
        const UNSET: &str = "UPDATE users SET avatar = NULL WHERE id = $1";
        const DELETE: &str = "DELETE FROM avatars WHERE user_id = $1";
        let mut tx = self.db().begin().await?;
        sqlx::query(UNSET).bind(id.as_str()).execute(&mut *tx).await?;
        sqlx::query(DELETE).bind(id.as_str()).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// A picture by its hash, PNG. What a hash names never changes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn avatar(&self, hash: &str) -> Result<Option<Bytes>, StoreError> {
        const SELECT: &str = "SELECT png FROM avatars WHERE hash = $1 LIMIT 1";
        if !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let png: Option<Vec<u8>> = sqlx::query_scalar(SELECT).bind(hash).fetch_optional(self.db().read()).await?;
        Ok(png.map(Bytes::from))
    }
}

/// A square PNG of what somebody sent. Blocks, for up to a second.
fn render(picture: &[u8]) -> Result<Vec<u8>, AvatarError> {
    let no_picture = |error: image::ImageError| AvatarError::NoPicture(error.to_string());
    let mut reader = ImageReader::new(Cursor::new(picture));
    let format = image::guess_format(picture).map_err(no_picture)?;
    if !matches!(format, ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP) {
        return Err(AvatarError::NoPicture("another kind of file".to_owned()));
    }
    reader.set_format(format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_AVATAR_SIDE);
    limits.max_image_height = Some(MAX_AVATAR_SIDE);
    limits.max_alloc = Some(MAX_ALLOCATION);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(no_picture)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(no_picture)?;
    image.apply_orientation(orientation);
    let square = image.resize_to_fill(AVATAR_SIDE, AVATAR_SIDE, FilterType::Triangle).to_rgba8();
    let mut png = Vec::new();
    DynamicImage::from(square).write_to(&mut Cursor::new(&mut png), ImageFormat::Png).map_err(no_picture)?;
    Ok(png)
}
