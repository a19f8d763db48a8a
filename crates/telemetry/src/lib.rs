//! Every span, field and metric name, once.
