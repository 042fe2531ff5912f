package config
import ("testing";"time";"fmt";"github.com/hashicorp/hcl/v2/hclsyntax";"github.com/hashicorp/hcl/v2")
func TestDbg(t *testing.T){
 for _,n:=range []string{"heredocs","open strings","bad lines","bad values","nulls"} {
 src:=[]byte(hostile()[n])
 if len(src)>1<<20 {src=src[:1<<20]}
 a:=time.Now()
 tk,_:=hclsyntax.LexConfig(src,"a",hcl.InitialPos)
 b:=time.Now()
 dl:=checkLimits(src,"a")
 c:=time.Now()
 if dl.HasErrors(){fmt.Println(n,"limit",b.Sub(a),c.Sub(b));continue}
 _,d:=hclsyntax.ParseConfig(src,"a",hcl.InitialPos)
 e:=time.Now()
 fmt.Println(n,len(src),len(tk),b.Sub(a),c.Sub(b),e.Sub(c),len(d))
 }
}
