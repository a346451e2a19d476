//! A caching proxy on pingora: memory cache, cache lock, one upstream. `pingora-peer LISTEN UPSTREAM`.

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use pingora::{
    cache::{
        CacheKey, CacheMetaDefaults, MemCache, RespCacheable,
        cache_control::CacheControl,
        filters::resp_cacheable,
        lock::{CacheKeyLockImpl, CacheLock},
    },
    http::ResponseHeader,
    prelude::*,
};

static CACHE: LazyLock<MemCache> = LazyLock::new(MemCache::new);
/// Longer than any reload is held, so that the herd waits for its leader.
static LOCK: LazyLock<Box<CacheKeyLockImpl>> = LazyLock::new(|| CacheLock::new_boxed(Duration::from_secs(30)));
static DEFAULTS: CacheMetaDefaults = CacheMetaDefaults::new(|_| None, 0, 0);

struct Peer {
    upstream: String,
}

#[async_trait]
impl ProxyHttp for Peer {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(&self.upstream, false, String::new())))
    }

    fn request_cache_filter(&self, session: &mut Session, _ctx: &mut ()) -> Result<()> {
        session.cache.enable(&*CACHE, None, None, Some(LOCK.as_ref()), None);
        Ok(())
    }

    fn cache_key_callback(&self, session: &Session, _ctx: &mut ()) -> Result<CacheKey> {
        Ok(CacheKey::new(session.req_header().uri.to_string(), ""))
    }

    fn response_cache_filter(&self, _session: &Session, response: &ResponseHeader, _ctx: &mut ()) -> Result<RespCacheable> {
        let control = CacheControl::from_resp_headers(response);
        Ok(resp_cacheable(control.as_ref(), response.clone(), false, &DEFAULTS))
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let (Some(listen), Some(upstream)) = (args.next(), args.next()) else {
        eprintln!("usage: pingora-peer LISTEN UPSTREAM");
        std::process::exit(2);
    };
    let mut server = Server::new(None).expect("the default configuration");
    server.bootstrap();
    let mut proxy = http_proxy_service(&server.configuration, Peer { upstream });
    proxy.add_tcp(&listen);
    server.add_service(proxy);
    server.run_forever();
}
