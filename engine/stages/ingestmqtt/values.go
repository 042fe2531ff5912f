package ingestmqtt

import (
	"fmt"
	"maps"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/mqtt"
	"github.com/tidemill/tidemill/engine/stage"
)

// texts reads a text or a list of texts; want says what they are.
func texts(x hcl.Expression, ctx *hcl.EvalContext, name, want string) ([]string, hcl.Diagnostics) {
	v, diags := config.Value(x, ctx)
	if diags.HasErrors() {
		return nil, diags
	}
	out, ok := textsOf(v)
	if !ok || len(out) == 0 {
		return nil, config.Errorf(x.Range(), "Not a text", "%s takes %s, or a list of them in brackets.", name, want)
	}
	return out, nil
}

func textsOf(v cty.Value) ([]string, bool) {
	v, _ = v.UnmarkDeep()
	if v.IsNull() || !v.IsWhollyKnown() {
		return nil, false
	}
	if v.Type() == cty.String {
		return []string{v.AsString()}, true
	}
	if !v.CanIterateElements() || v.Type().IsObjectType() || v.Type().IsMapType() {
		return nil, false
	}
	out := []string{}
	for _, item := range v.AsValueSlice() {
		if item.IsNull() || item.Type() != cty.String {
			return nil, false
		}
		out = append(out, item.AsString())
	}
	return out, true
}

// bindProperties reads user_properties.
func (a *args) bindProperties(o *options, at stage.At) hcl.Diagnostics {
	if config.Absent(a.UserProperties) {
		return nil
	}
	names, diags := texts(a.UserProperties, at.Eval, "user_properties", `the name of a user property, such as "firmware"`)
	fail := func(summary, format string, args ...any) {
		diags = append(diags, config.Errorf(a.UserProperties.Range(), summary, format, args...)...)
	}
	for _, name := range names {
		template, err := decode.ParseTopicTemplate("{" + name + "}")
		switch {
		case err != nil || len(template.Columns()) != 1:
			fail("Not a column", "%q cannot be the name of a column: that has letters, digits and _, and begins with a letter.", name)
		case slices.Contains(o.properties, name):
			fail("Named twice", "%q stands there twice.", name)
		case slices.ContainsFunc(o.topics, func(t decode.TopicTemplate) bool { return slices.Contains(t.Columns(), name) }):
			fail("Two meanings of a name", "%q is a level of the topic already; give that another name.", name)
		case at.Channel != nil && name == at.Channel.Key:
			fail("A key in a property", "%q is the channel's key, by which records find their partition: it has to be in the topic or the payload.", name)
		default:
			o.properties = append(o.properties, name)
			diags = append(diags, checkText(a.UserProperties, at, name, fmt.Sprintf("%q gives texts", name))...)
		}
	}
	return diags
}

// checkText refuses a name that gives texts, and that the channel's schema gives another type.
func checkText(x hcl.Expression, at stage.At, name, gives string) hcl.Diagnostics {
	if at.Channel == nil {
		return nil
	}
	for _, f := range at.Channel.Schema {
		if f.Name == name && f.Type.ID() != arrow.STRING {
			return config.Errorf(x.Range(), "A name of another type",
				"%s, and the schema of channel.%s says that %s is something else. Make it a string there, or use another name.", gives, at.Channel.Name, name)
		}
	}
	return nil
}

// bindAllow reads allow. ${client_id} and its relatives are templates of HCL,
// so they are given themselves as values.
func (a *args) bindAllow(o *options, at stage.At) hcl.Diagnostics {
	if config.Absent(a.Allow) {
		return nil
	}
	ctx := at.Eval.NewChild()
	ctx.Variables = map[string]cty.Value{}
	for _, name := range []string{"client_id", "username", "cn"} {
		ctx.Variables[name] = cty.StringVal("${" + name + "}")
	}
	if diags := unknownNames(a.Allow, ctx); diags.HasErrors() {
		return diags
	}
	const detail = `allow takes a list of topic filters, such as ["dt/+/+/${client_id}/#"], or { publish = [...], subscribe = [...] }.`
	v, diags := config.Value(a.Allow, ctx)
	if diags.HasErrors() {
		return diags
	}
	var lists [2][]string
	if list, ok := textsOf(v); ok {
		lists = [2][]string{list, list}
	} else {
		if v.IsNull() || !v.IsWhollyKnown() || !v.Type().IsObjectType() {
			return config.Errorf(a.Allow.Range(), "Not a list", "%s", detail)
		}
		for name, item := range v.AsValueMap() {
			list, ok := textsOf(item)
			at := map[string]int{"publish": 0, "subscribe": 1}
			i, known := at[name]
			if !ok || !known {
				return config.Errorf(a.Allow.Range(), "Not a list", "%s", detail)
			}
			lists[i] = list
		}
	}
	for i, list := range lists {
		o.allowed[i] = []mqtt.Pattern{} // not nil: what is not allowed is forbidden
		for _, text := range list {
			p, err := mqtt.ParsePattern(text)
			if err != nil {
				diags = append(diags, config.Errorf(a.Allow.Range(), "Not a topic filter", "%s.", upper(err.Error()))...)
				continue
			}
			o.allowed[i] = append(o.allowed[i], p)
		}
	}
	return dedupe(diags)
}

// unknownNames finds what stands for nobody in allow.
func unknownNames(x hcl.Expression, ctx *hcl.EvalContext) hcl.Diagnostics {
	who := slices.Sorted(maps.Keys(ctx.Variables))
	known := map[string]bool{}
	for at := ctx; at != nil; at = at.Parent() {
		for name := range at.Variables {
			known[name] = true
		}
	}
	var diags hcl.Diagnostics
	for _, t := range x.Variables() {
		if name := t.RootName(); !known[name] {
			diags = append(diags, config.Errorf(t.SourceRange(), "Nobody is meant",
				"${%s} is not known here, where names stand for who the client is.%s", name, config.DidYouMean(name, who))...)
		}
	}
	return diags
}

// dedupe drops what is said of both lists.
func dedupe(diags hcl.Diagnostics) hcl.Diagnostics {
	var out hcl.Diagnostics
	seen := map[string]bool{}
	for _, d := range diags {
		if !seen[d.Detail] {
			seen[d.Detail] = true
			out = append(out, d)
		}
	}
	return out
}
