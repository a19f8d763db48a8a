//! Log lines in the form that cores read.
