# nothing but a comment # ERROR ANYWHERE: Write a file such as first.hcl
