channel "c" {
}
pipeline "p" # ERROR: The opening brace of a block stands on the line of its name: pipeline "p" {
{
  from = channel.c
}
