channel "c" {
}
} # ERROR: This brace closes nothing
