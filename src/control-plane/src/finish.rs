//! Calls that change something go on to their end once they are begun, also where whoever called has hung up: nobody means
//! a change that lies on disk and is not in force, or one without its line in the audit log.

use actix_web::{
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    error::ErrorInternalServerError,
    middleware::Next,
};

/// Agents' calls end with their connection: a held-open claim must not take a task for a launch-agent that is gone, and what
/// they were not answered they say again.
const OF_AGENTS: [&str; 5] = [
    "/api/v3/runner/claim",
    "/api/v3/runner/heartbeat",
    "/api/v3/runner/unclaim",
    "/api/v3/task/",
    "/api/v2/task/",
];

/// Answers a call; whether or not anybody waits for the answer of one that changes something.
pub(crate) async fn finished(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let is_agents = OF_AGENTS.iter().any(|path| request.path().starts_with(path));
    if is_agents || request.method().is_safe() {
        return next.call(request).await;
    }
    begun(async move { next.call(request).await }).await.unwrap_or_else(|_| Err(ErrorInternalServerError("")))
}

#[expect(clippy::disallowed_methods, reason = "a caller that hangs up does not end what it began")]
fn begun<T: 'static>(call: impl Future<Output = T> + 'static) -> tokio::task::JoinHandle<T> {
    actix_web::rt::spawn(call)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::{
        App, HttpRequest, HttpResponse, HttpServer,
        middleware::from_fn,
        web::{self, Data},
    };
    use std::{io::Write, net::TcpStream, sync::Arc, time::Duration};
    use tokio::{
        sync::{Semaphore, mpsc},
        time::timeout,
    };

    /// How far calls have come: each says when it begins, waits to be let on, and says when it has ended or was dropped.
    #[derive(Clone)]
    struct Calls {
        told: mpsc::UnboundedSender<String>,
        go: Arc<Semaphore>,
    }

    struct Left {
        calls: Data<Calls>,
        end: &'static str,
        call: String,
    }

    impl Drop for Left {
        fn drop(&mut self) {
            let _ = self.calls.told.send(format!("{} {}", self.call, self.end));
        }
    }

    async fn answer(request: HttpRequest, calls: Data<Calls>) -> HttpResponse {
        let call = format!("{} {}", request.method(), request.path());
        calls.told.send(format!("{call} begun")).unwrap();
        let mut left = Left { calls: calls.clone(), end: "dropped", call };
        let _go = calls.go.acquire().await.unwrap();
        left.end = "ended";
        HttpResponse::Ok().finish()
    }

    #[actix_web::test]
    async fn what_was_begun_is_ended_though_its_caller_hangs_up_but_for_reading_and_what_agents_say() {
        let (told, mut tells) = mpsc::unbounded_channel();
        let calls = Calls { told, go: Arc::new(Semaphore::new(0)) };
        let shared = calls.clone();
        let server = HttpServer::new(move || {
            let app = App::new().app_data(Data::new(shared.clone())).wrap(from_fn(finished));
            app.default_service(web::to(answer))
        });
        let server = server.workers(1).h1_allow_half_closed(false).disable_signals();
        let server = server.bind("127.0.0.1:0").unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        let serving = begun(server);
        let mut next = async || timeout(Duration::from_secs(20), tells.recv()).await.unwrap().unwrap();
        for (call, of_others) in [
            ("POST /api/v2/context", "GET /api/v2/context"),
            ("DELETE /api/v2/schedule/1", "POST /api/v3/runner/claim"),
            ("PUT /api/v3/people/ada", "POST /api/v3/task/stream"),
        ] {
            for call in [call, of_others] {
                let mut line = TcpStream::connect(address).unwrap();
                write!(line, "{call} HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n").unwrap();
                assert_eq!(next().await, format!("{call} begun"));
            }
            // Of both lines the server has seen the end by now.
            assert_eq!(next().await, format!("{of_others} dropped"));
            calls.go.add_permits(1);
            assert_eq!(next().await, format!("{call} ended"));
            calls.go.forget_permits(1);
        }
        handle.stop(false).await;
        serving.await.unwrap().unwrap();
    }
}
