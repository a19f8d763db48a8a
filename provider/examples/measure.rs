//! What encodings and calls cost, in a release build: `cargo xtask bench codec` and `bench rpc`.

use std::{
    error::Error,
    hint::black_box,
    time::{Duration, Instant},
};

use serde_json::{Value as Json, json};
use tfplugin::{
    Schema, Type, Value, erased::AnyProvider, json as state, laws, mini_core::MiniCore, msgpack,
};
use tfplugin_proto::health::{HealthCheckRequest, health_client::HealthClient};
use tfplugin_proto::tfplugin6::{DynamicValue, get_provider_schema, plan_resource_change};

/// So many resources as the largest goal speaks of: a thousand of each.
const THOUSAND: usize = 1000;

/// States as version 0.1 leaves them.
const STATES: [(&str, &str); 3] = [
    ("nhi_integration", include_str!("../tests/golden/0.1/nhi_integration.json")),
    ("nhi_scope", include_str!("../tests/golden/0.1/nhi_scope.json")),
    ("nhi_credential", include_str!("../tests/golden/0.1/nhi_credential.json")),
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some("codec") => codec(),
        Some("rpc") => {
            let program = words.next().ok_or("rpc needs the provider's program")?;
            // One thread: what a caller's own threads cost each other is not the provider's.
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(rpc(&program))
        }
        _ => Err("codec, or rpc PROGRAM".into()),
    }
}

/// The middle one of 31 measurements, each of as many calls as take about 20 ms.
fn median(mut call: impl FnMut()) -> Duration {
    let begun = Instant::now();
    call();
    let once = begun.elapsed().max(Duration::from_nanos(50));
    let calls = (20_000_000 / once.as_nanos().max(1)).clamp(1, 100_000) as u32;
    let mut measured: Vec<Duration> = (0..31)
        .map(|_| {
            let begun = Instant::now();
            (0..calls).for_each(|_| call());
            begun.elapsed() / calls
        })
        .collect();
    measured.sort();
    measured[measured.len() / 2]
}

/// One object in both encodings.
struct Sample {
    ty: Type,
    value: Value,
    packed: Vec<u8>,
    text: Vec<u8>,
}

fn sample(schema: &Schema, text: &str) -> Result<Sample, Box<dyn Error>> {
    let kept: Json = serde_json::from_str(text)?;
    let ty = schema.ty().clone();
    let value = state::decode_state(&kept["attributes"], schema)?;
    let packed = msgpack::encode(&value, &ty)?;
    let text = state::encode(&value, &ty)?.to_string().into_bytes();
    Ok(Sample { ty, value, packed, text })
}

fn codec() -> Result<(), Box<dyn Error>> {
    let provider = provider::provider();
    let mut samples = Vec::new();
    for (kind, text) in STATES {
        let resource = provider.resources().get(kind).ok_or("no such resource")?;
        samples.push(sample(resource.schema(), text)?);
    }
    let credential = samples.last().ok_or("no sample")?;
    let all = || samples.iter().cycle().take(3 * THOUSAND);
    let bytes = |of: fn(&Sample) -> usize| all().map(of).sum::<usize>();
    let (packed, text) = (bytes(|one| one.packed.len()), bytes(|one| one.text.len()));
    type Work = fn(&Sample);
    let works: [(&str, usize, usize, Work); 4] = [
        ("MessagePack decode", credential.packed.len(), packed, |one| {
            drop(black_box(msgpack::decode(black_box(&one.packed), &one.ty)));
        }),
        ("MessagePack encode", credential.packed.len(), packed, |one| {
            drop(black_box(msgpack::encode(black_box(&one.value), &one.ty)));
        }),
        ("JSON decode", credential.text.len(), text, |one| {
            drop(black_box(state::decode_bytes(black_box(&one.text), &one.ty)));
        }),
        ("JSON encode", credential.text.len(), text, |one| {
            let json = state::encode(black_box(&one.value), &one.ty);
            drop(black_box(json.map(|json| json.to_string())));
        }),
    ];
    println!("                       one nhi_credential    3,000 resources");
    for (name, one, many, work) in works {
        let once = median(|| work(credential));
        let whole = median(|| all().for_each(work));
        println!(
            "  {name:<18} {:6} ns ({one:4} B)   {:6.1} ms, {:4.0} MB/s",
            once.as_nanos(),
            whole.as_secs_f64() * 1e3,
            many as f64 / whole.as_secs_f64() / 1e6,
        );
    }
    println!("  goal: none is set");
    Ok(())
}

/// Objects that need no platform: what remains is the call.
fn configs() -> [(&'static str, Json); 3] {
    let owner = json!({ "id": "owner/a-team", "email": "a@acme.example", "status": "unchecked" });
    [
        ("nhi_owner", json!({ "name": "a-team", "email": "a@acme.example" })),
        ("nhi_rotation_schedule", json!({ "name": "monthly", "every": "30d", "overlap": "24h" })),
        (
            "nhi_integration",
            json!({
                "name": "payroll-bureau",
                "purpose": "The bureau computes salaries from our time sheets",
                "environment": "production",
                "business_owner": owner,
                "technical_owner": owner,
                "third_party": {
                    "vendor": "Salaries Ltd",
                    "contract": "https://contracts.acme.example/4711",
                    "contract_ends_on": "2099-12-31",
                    "telemetry": "siem/payroll-bureau",
                    "disable_path": "https://runbooks.acme.example/payroll-bureau",
                    "admin_review_every": "90d",
                },
            }),
        ),
    ]
}

async fn rpc(program: &str) -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("nhi-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("nhi.hcl");
    std::fs::write(&file, "ledger = { none = true }\n")?;
    let file = file.display().to_string();
    let remote = MiniCore::launch(program, &[("NHI_CONFIG", &file)]).await?;
    remote.configure(json!({})).await?;
    let local = MiniCore::within(provider::provider()).await?;
    local.configure(json!({ "config_file": file })).await?;
    println!("medians of 2,000 calls, one after the other:");
    println!("                                  over the wire   in process");
    // What the wire takes by itself: nobody's code stands behind this one.
    let mut client = HealthClient::new(remote.channel());
    let mut took = Vec::new();
    for _ in 0..2000 {
        let begun = Instant::now();
        client.check(HealthCheckRequest::default()).await?;
        took.push(begun.elapsed());
    }
    line("a health check", &[middle(took)], "");
    let ask = get_provider_schema::Request::default;
    let mut told = Vec::new();
    for core in [&remote, &local] {
        let mut client = core.procedures();
        let mut took = Vec::new();
        for _ in 0..200 {
            let begun = Instant::now();
            client.get_provider_schema(ask()).await?;
            took.push(begun.elapsed());
        }
        told.push(middle(took));
    }
    line("GetProviderSchema", &told, "");
    for (kind, config) in configs() {
        let mut told = Vec::new();
        for core in [&remote, &local] {
            told.push(plan(core, kind, &config).await?);
        }
        line(&format!("plan {kind}"), &told, "goal: at most 150 µs");
    }
    remote.shutdown().await?;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

fn line(name: &str, told: &[Duration], goal: &str) {
    let shown: Vec<String> =
        told.iter().map(|one| format!("{:9.0} µs", one.as_secs_f64() * 1e6)).collect();
    println!("  {name:<28} {}   {goal}", shown.join("  "));
}

fn middle(mut took: Vec<Duration>) -> Duration {
    took.sort();
    took[took.len() / 2]
}

/// An object that exists and does not change, planned again and again.
async fn plan(core: &MiniCore, kind: &str, config: &Json) -> Result<Duration, Box<dyn Error>> {
    let made = core.create(kind, config.clone()).await?;
    let schema = core.schema(kind).ok_or("no such resource")?;
    let ty = schema.ty().clone();
    let prior = state::decode_state(&made.json(), schema)?;
    let config = state::decode_state(config, schema)?;
    let proposed = laws::proposed_new(schema, &prior, &config);
    let packed = |value: &Value| -> Result<_, Box<dyn Error>> {
        Ok(Some(DynamicValue { msgpack: msgpack::encode(value, &ty)?, json: Vec::new() }))
    };
    let request = plan_resource_change::Request {
        type_name: kind.to_owned(),
        prior_state: packed(&prior)?,
        proposed_new_state: packed(&proposed)?,
        config: packed(&config)?,
        ..plan_resource_change::Request::default()
    };
    let mut client = core.procedures();
    let mut took = Vec::new();
    for _ in 0..2000 {
        let request = request.clone();
        let begun = Instant::now();
        let answer = client.plan_resource_change(request).await?.into_inner();
        took.push(begun.elapsed());
        let planned = answer.planned_state.unwrap_or_default().msgpack;
        if msgpack::decode(&planned, &ty)? != prior {
            return Err(format!("{kind} changes in a plan that should be empty").into());
        }
    }
    Ok(middle(took))
}
