//! Set-up of the subscriber: log lines to stderr, spans to an OpenTelemetry collector.

use std::io::IsTerminal;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use serde::Deserialize;
use tracing::{Dispatch, Level, Metadata};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, ParseError, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

/// What is logged and where spans go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryConfig {
    /// How log lines are written.
    pub format: Format,
    /// Which log lines are written: directives such as `info,customers=debug`. It does not
    /// touch spans, so that a quiet log still passes the trace context on.
    pub filter: String,
    /// OTLP/gRPC endpoint of a collector, such as `http://127.0.0.1:4317`. None: no export.
    pub otlp_endpoint: Option<String>,
    /// The share of new traces that are exported, 0 to 1. A trace begun elsewhere keeps the
    /// caller's choice.
    pub sample_ratio: f64,
    /// Finished spans waiting for export; more are dropped and counted.
    pub export_queue_spans_max: usize,
    /// Spans in one export.
    pub export_batch_spans_max: usize,
    /// Longest wait of a finished span for its export.
    pub export_interval_ms: u64,
    /// Time limit of one export, and of the last one at shutdown.
    pub export_timeout_ms: u64,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For a person at a terminal.
    Human,
    /// One JSON object a line.
    Json,
}

/// Telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// `filter` is not a list of directives.
    #[error("telemetry.filter {filter:?} is not a list of directives such as info,vefa=debug")]
    Filter {
        /// What was given.
        filter: String,
        /// Why it was refused.
        #[source]
        source: ParseError,
    },
    /// `sample_ratio` is not a share.
    #[error("telemetry.sample_ratio must lie between 0 and 1, not {0}")]
    SampleRatio(f64),
    /// `otlp_endpoint` is not usable.
    #[error("telemetry.otlp_endpoint cannot be used")]
    Exporter(#[source] ExporterBuildError),
    /// This process already has a subscriber.
    #[error("telemetry is already set up in this process")]
    AlreadySet(#[source] tracing::subscriber::SetGlobalDefaultError),
}

/// The last spans could not be handed to the collector in time.
#[derive(Debug, thiserror::Error)]
#[error("the last spans were not exported")]
pub struct ShutdownError(#[source] OTelSdkError);

/// Keeps telemetry alive; the last spans are exported when it is shut down or dropped.
///
/// Both block the calling thread for at most `export_timeout_ms`, while the Tokio runtime in
/// which [`init`] ran must still be running.
#[derive(Debug)]
#[must_use = "spans are no longer exported once the guard is dropped"]
pub struct Guard {
    provider: Option<SdkTracerProvider>,
    timeout: Duration,
}

impl Guard {
    /// Exports what is left and ends the export.
    ///
    /// # Errors
    /// If the collector did not take the last spans in time.
    pub fn shutdown(mut self) -> Result<(), ShutdownError> {
        self.end().map_err(ShutdownError)
    }

    fn end(&mut self) -> Result<(), OTelSdkError> {
        match self.provider.take() {
            Some(provider) => provider.shutdown_with_timeout(self.timeout),
            None => Ok(()),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}

/// Sets up logging and tracing for this process, once.
///
/// With an endpoint it must run inside a Tokio runtime. A collector that is slow or gone
/// neither blocks a caller nor grows memory: beyond `export_queue_spans_max` spans are dropped.
///
/// # Errors
/// If the configuration is unusable, or the process already has a subscriber.
pub fn init(config: &TelemetryConfig, service_name: &'static str) -> Result<Guard, InitError> {
    let (dispatch, guard) = build(config, service_name)?;
    tracing::dispatcher::set_global_default(dispatch).map_err(InitError::AlreadySet)?;
    Ok(guard)
}

/// The subscriber of [`init`], not yet installed.
pub(crate) fn build(
    config: &TelemetryConfig,
    service_name: &'static str,
) -> Result<(Dispatch, Guard), InitError> {
    let log_filter = EnvFilter::try_new(&config.filter).map_err(|source| InitError::Filter {
        filter: config.filter.clone(),
        source,
    })?;
    let provider = tracer_provider(config, service_name)?;
    let tracer = provider.tracer(service_name);
    let subscriber = Registry::default()
        .with(trace_layer(tracer))
        .with(log_layer(config.format).with_filter(log_filter));
    let guard = Guard {
        provider: Some(provider),
        timeout: Duration::from_millis(config.export_timeout_ms),
    };
    Ok((Dispatch::new(subscriber), guard))
}

/// Without an endpoint the provider only makes ids: new traces are not recorded, and the
/// context of a caller who records is passed on unharmed.
fn tracer_provider(
    config: &TelemetryConfig,
    service_name: &'static str,
) -> Result<SdkTracerProvider, InitError> {
    if !(0.0..=1.0).contains(&config.sample_ratio) {
        return Err(InitError::SampleRatio(config.sample_ratio));
    }
    let builder = SdkTracerProvider::builder()
        .with_resource(Resource::builder().with_service_name(service_name).build());
    let Some(endpoint) = &config.otlp_endpoint else {
        let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
        return Ok(builder.with_sampler(sampler).build());
    };
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(Duration::from_millis(config.export_timeout_ms))
        .build()
        .map_err(InitError::Exporter)?;
    let batch = BatchConfigBuilder::default()
        .with_max_queue_size(config.export_queue_spans_max)
        .with_max_export_batch_size(config.export_batch_spans_max)
        .with_scheduled_delay(Duration::from_millis(config.export_interval_ms))
        .build();
    let processor = BatchSpanProcessor::builder(exporter)
        .with_batch_config(batch)
        .build();
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample_ratio)));
    Ok(builder
        .with_sampler(sampler)
        .with_span_processor(processor)
        .build())
}

fn trace_layer<S>(tracer: SdkTracer) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    OpenTelemetryLayer::new(tracer)
        // Each of these costs on every span and answers no question that we ask.
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        // Only `tracing` makes spans here, so nobody looks for a current OpenTelemetry context.
        .with_context_activation(false)
        // The hint lets everything more verbose be passed over by one comparison.
        .with_filter(filter_fn(is_traced).with_max_level_hint(LevelFilter::INFO))
}

/// Spans from INFO up, and only warnings and errors as their events: progress belongs in the log.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    let most_verbose = if metadata.is_span() {
        Level::INFO
    } else {
        Level::WARN
    };
    *metadata.level() <= most_verbose
}

fn log_layer<S>(format: Format) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    // Stderr, so that a command's own output stays clean.
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        Format::Human => layer.with_ansi(std::io::stderr().is_terminal()).boxed(),
        Format::Json => layer
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
    }
}

#[cfg(test)]
impl TelemetryConfig {
    pub(crate) fn for_tests(otlp_endpoint: Option<String>) -> Self {
        Self {
            format: Format::Human,
            filter: "off".into(),
            otlp_endpoint,
            sample_ratio: 1.0,
            export_queue_spans_max: 2_048,
            export_batch_spans_max: 512,
            export_interval_ms: 100,
            export_timeout_ms: 1_000,
        }
    }
}

#[cfg(test)]
mod tests;
