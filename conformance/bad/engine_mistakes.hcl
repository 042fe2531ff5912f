engine {
  checkpoint = "1ms" # ERROR: checkpoint goes from 10ms to 1h.
  tasks      = "all" # ERROR: tasks takes a number; this is a string.
  quue_rows  = 100 # ERROR: Did you mean "queue_rows"?
}
engine { # ERROR: the engine block stands already on line 1.
}
channel "c" {
}
