name     = "mutant"
version  = "1.0.0"
kind     = enrich
language = c

reads  = { value = number }
writes = { out = { type = number, nullable = true } }

state {
  version = 1
  columns = { rows = integer }
}
