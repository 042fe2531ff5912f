package ingestfile

import (
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func parseBody(t testing.TB, args string) hcl.Body {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(args), "t.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return f.Body
}
