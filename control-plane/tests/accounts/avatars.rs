//! Pictures of people.

use std::io::Cursor;

use bytes::Bytes;
use freshet_control_plane::accounts::{AVATAR_SIDE, Actor, AvatarError};
use image::{ImageFormat, Rgb, RgbImage};

use crate::bench::{Bench, register};

/// A picture, red at the left and blue at the right.
fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let half = |x, _| if x < width / 2 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) };
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_fn(width, height, half).write_to(&mut bytes, format).expect("a picture");
    bytes.into_inner()
}

pub fn png(width: u32, height: u32) -> Bytes {
    encoded(width, height, ImageFormat::Png).into()
}

/// A JPEG as a telephone writes it: turned by a quarter, and with the place where it was taken.
fn photograph() -> Vec<u8> {
    let jpeg = encoded(64, 32, ImageFormat::Jpeg);
    // TIFF, big endian, one entry: Orientation (0x0112), SHORT, 1 value: 6, to be turned to the right.
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    exif.extend(b"51.5007N 0.1246W");
    let mut marked = jpeg[..2].to_vec();
    marked.extend([0xff, 0xe1]);
    marked.extend((exif.len() as u16 + 2).to_be_bytes());
    marked.extend(exif);
    marked.extend(&jpeg[2..]);
    marked
}

pub async fn a_picture_is_made_square_and_loses_what_was_beside_it(bench: Bench) {
    let accounts = bench.open().await;
    let ada = register(&accounts, "ada").await;
    for picture in [photograph(), encoded(300, 500, ImageFormat::WebP), encoded(1, 1, ImageFormat::Png)] {
        let hash = accounts.set_avatar(&ada.id, picture.into()).await.expect("a picture");
        assert_eq!(accounts.user(&ada.id).await.expect("an answer").and_then(|ada| ada.avatar), Some(hash.clone()));
        let served = accounts.avatar(&hash).await.expect("an answer").expect("a picture");
        assert!(!served.windows(8).any(|window| window == b"51.5007N"));
        let served = image::load_from_memory_with_format(&served, ImageFormat::Png).expect("a PNG");
        assert_eq!((served.width(), served.height()), (AVATAR_SIDE, AVATAR_SIDE));
    }
    let hash = accounts.set_avatar(&ada.id, photograph().into()).await.expect("a picture");
    let turned = accounts.avatar(&hash).await.expect("an answer").expect("a picture");
    let turned = image::load_from_memory(&turned).expect("a PNG").to_rgb8();
    let (top, bottom) = (turned.get_pixel(128, 20), turned.get_pixel(128, 235));
    assert!(top[0] > 200 && top[2] < 80 && bottom[2] > 200 && bottom[0] < 80, "{top:?} {bottom:?}");

    // A second file behind the first, and what is none, too large, or lies about its size.
    let mut bomb = encoded(1, 1, ImageFormat::Png);
    bomb[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    let mut cut = encoded(64, 64, ImageFormat::Jpeg);
    cut.truncate(30);
    for hostile in [
        bomb,
        cut,
        b"GIF89a\x01\0\x01\0\0\0\0;".to_vec(),
        b"<svg/>".to_vec(),
        Vec::new(),
        encoded(4097, 1, ImageFormat::Png),
    ] {
        let refused = accounts.set_avatar(&ada.id, hostile.into()).await;
        assert!(matches!(refused, Err(AvatarError::NoPicture(_))), "{refused:?}");
    }
    let large = accounts.set_avatar(&ada.id, vec![0; (4 << 20) + 1].into()).await;
    assert!(matches!(large, Err(AvatarError::TooLarge)));
    assert_eq!(accounts.user(&ada.id).await.expect("an answer").and_then(|ada| ada.avatar), Some(hash));
}

pub async fn a_picture_goes_with_its_user(bench: Bench) {
    let accounts = bench.open().await;
    let (ada, grace) = (register(&accounts, "ada").await, register(&accounts, "grace").await);
    let hash = accounts.set_avatar(&ada.id, png(8, 8)).await.expect("a picture");
    assert_eq!(accounts.set_avatar(&grace.id, png(8, 8)).await.expect("a picture"), hash);
    accounts.remove_avatar(&ada.id).await.expect("removed");
    assert_eq!(accounts.user(&ada.id).await.expect("an answer").and_then(|ada| ada.avatar), None);
    assert!(accounts.avatar(&hash).await.expect("an answer").is_some(), "it is the other one's too");
    accounts.delete_account(&Actor::Operator, &grace.id).await.expect("deleted");
    assert!(accounts.avatar(&hash).await.expect("an answer").is_none());
    let nobody = accounts.set_avatar(&ada.id, png(8, 8)).await;
    assert!(nobody.is_ok());
    assert!(matches!(accounts.set_avatar(&"nobody".into(), png(8, 8)).await, Err(AvatarError::NoSuchUser)));
}
