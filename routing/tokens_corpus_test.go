package routing

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"go/build"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"tidegate/jobs"
)

// corpus is real text of many kinds, by name: what the Go tree has of it, and our
// own sentences in other scripts, in a random order.
var corpus = sync.OnceValues(func() (map[string]string, error) {
	src := filepath.Join(build.Default.GOROOT, "src")
	prose, err := os.ReadFile(filepath.Join(src, "testdata", "Isaac.Newton-Opticks.txt"))
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(src, "net", "http", "*.go"))
	if err != nil {
		return nil, err
	}
	var code, comments strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		code.Write(text)
		for line := range strings.Lines(string(text)) {
			if said, ok := strings.CutPrefix(strings.TrimSpace(line), "// "); ok {
				comments.WriteString(said + "\n")
			}
		}
	}
	records, err := json.MarshalIndent(strings.SplitAfter(comments.String(), "\n"), "", "  ")
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"prose": string(prose), "code": code.String(), "docs": comments.String(), "json": string(records),
		"base64":  base64.StdEncoding.EncodeToString([]byte(code.String())[:200_000]),
		"chinese": shuffled(chinese, "。"), "japanese": shuffled(japanese, "。"), "russian": shuffled(russian, "."),
		"mixed": comments.String()[:100_000] + shuffled(chinese, "。")[:60_000] + base64.StdEncoding.EncodeToString(prose[:30_000]) + code.String()[:60_000],
	}, nil
})

const (
	chinese  = "潮水涨起来的时候，闸门自己关上。落潮以后，田里的水慢慢流回海里。渔夫在码头上修补渔网，等着下一班船。昨天夜里刮了大风，灯塔的灯却一直亮着。老人说，从前这里没有堤坝，每到秋天村子就被淹一次。孩子们沿着沙滩捡贝壳，把最大的一只送给母亲。机器每隔十秒报告一次水位，误差不超过两厘米。如果三个水泵同时停下，值班的工程师会收到通知。今年的盐比去年便宜，可是运费涨了一倍。信写好了，却没有人知道该寄到哪里去。"
	japanese = "潮が満ちると水門はひとりでに閉まる。引き潮になれば、畑の水はゆっくりと海へ帰っていく。漁師は桟橋で網を繕いながら、次の船を待っている。ゆうべは風が強かったが、灯台の明かりは消えなかった。昔はこのあたりに堤防がなく、秋になるたびに村が水に浸かったそうだ。子供たちは砂浜で貝殻を拾い、いちばん大きなものを母に渡した。センサーは十秒ごとに水位を記録し、誤差は二センチ以内である。ポンプが三台とも止まったら、当直の技術者に連絡が届く。今年の塩は去年より安いけれど、送料は倍になった。手紙は書き終えたのに、送り先を誰も知らない。"
	russian  = "Когда начинается прилив, затвор закрывается сам. С отливом вода с полей медленно уходит обратно в море. Рыбак чинит сети на причале и ждёт следующего катера. Ночью был сильный ветер, но маяк не гас ни на минуту. Старики рассказывают, что раньше здесь не было дамбы и каждую осень деревню затапливало. Дети собирали на берегу ракушки и самую большую подарили матери. Датчик сообщает уровень воды каждые десять секунд, и ошибка не превышает двух сантиметров. Если остановятся все три насоса, дежурный инженер получит сообщение. Соль в этом году дешевле, зато перевозка подорожала вдвое. Письмо написано, а куда его отправить, никто не знает."
)

// shuffled says the sentences of a text over and over, in a random order.
func shuffled(text, end string) string {
	random := rand.New(rand.NewPCG(1, 1))
	sentences := strings.SplitAfter(strings.TrimSuffix(text, end), end)
	var b strings.Builder
	for b.Len() < 150_000 {
		b.WriteString(sentences[random.IntN(len(sentences))])
	}
	return b.String()
}

// exactly is what the library counts of a whole text.
func exactly(t testing.TB, by encoding, text string) int {
	t.Helper()
	n, err := codecs[by]().Count(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What is counted of a body is what the library counts of its text: nearly that up
// to countedWhole, and within a few percent beyond, whatever the text.
func TestSamplesAreNearEnough(t *testing.T) {
	t.Parallel()
	texts, err := corpus()
	if err != nil {
		t.Fatal(err)
	}
	const most = 0.05
	for name, text := range texts {
		for _, size := range []int{1000, 12_000, 20_000, 60_000, 140_000, 250_000} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				worst := 0.0
				for at := 0; at+size <= len(text) && at < 4*size; at += size {
					part := strings.ToValidUTF8(text[at:at+size], "")
					for by := range encodings {
						body := chatBody(t, part)
						p := readPrompt(jobs.EndpointChat, body, nil)
						got, _ := countText(body, p, by)
						want := exactly(t, by, part)
						off := math.Abs(float64(got)/float64(want) - 1)
						if worst = max(worst, off); off > most || off > 0.005 && p.text <= countedWhole {
							t.Errorf("%d bytes at %d have %d tokens, it says %d (%+.1f%%)", size, at, want, got, 100*(float64(got)/float64(want)-1))
						}
					}
				}
				t.Logf("%s of %d bytes: within %.2f%%", name, size, 100*worst)
			})
		}
	}
}

// Text in many pieces, and in escapes, is sampled as well.
func TestSamplesOfPieces(t *testing.T) {
	t.Parallel()
	texts, err := corpus()
	if err != nil {
		t.Fatal(err)
	}
	prose, foreign := texts["prose"][:200_000], strings.ToValidUTF8(texts["russian"][:100_000], "")
	var messages []string
	want := 0
	for at := 0; at < len(prose); at += 250 {
		content, _ := json.Marshal(prose[at : at+250])
		messages = append(messages, `{"role":"user","content":`+string(content)+`}`)
		want += exactly(t, o200k, prose[at:at+250])
	}
	var escaped strings.Builder
	for _, r := range foreign {
		quoted, _ := json.Marshal(string(r))
		if r < 0x80 {
			escaped.Write(quoted[1 : len(quoted)-1])
		} else {
			escaped.WriteString(`\u0` + strings.ToUpper(string("0123456789abcdef"[r>>8&15])+string("0123456789abcdef"[r>>4&15])+string("0123456789abcdef"[r&15])))
		}
	}
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"many messages": {`{"messages":[` + strings.Join(messages, ",") + `]}`, want},
		"escapes":       {`{"messages":[{"content":"` + escaped.String() + `"}]}`, exactly(t, o200k, foreign)},
	} {
		p := readPrompt(jobs.EndpointChat, []byte(c.body), nil)
		got, _ := countText([]byte(c.body), p, o200k)
		if off := float64(got)/float64(c.want) - 1; math.Abs(off) > 0.05 {
			t.Errorf("%s: %d tokens, it says %d (%+.1f%%)", name, c.want, got, 100*off)
		} else {
			t.Logf("%s: %+.1f%%", name, 100*off)
		}
	}
}

// What the text that takes longest costs, of the most that is counted whole.
func BenchmarkCountText(b *testing.B) {
	for _, unit := range []string{"the tide turns ", ` \n`, "a", "/", `\ud83c`} {
		body := []byte(`{"messages":[{"content":"` + strings.Repeat(unit, countedWhole/len(unit)) + `"}]}`)
		p := readPrompt(jobs.EndpointChat, body, nil)
		b.Run(unit, func(b *testing.B) {
			b.SetBytes(int64(p.text))
			for b.Loop() {
				countText(body, p, o200k)
			}
		})
	}
}

// A token has a byte at least: what fits by its bytes fits. A body, or a text that
// many times over is that of a message: inputs stay small, and samples are taken.
func FuzzReadPrompt(f *testing.F) {
	for _, seed := range []string{
		`{"model":"m","messages":[{"role":"user","content":"Why?"}],"max_tokens":7,"n":2}`,
		`{"messages":[{"content":[{"type":"text","text":"a\"b\\c\u6f6e\ud83c\udf0a"},{"image_url":{"url":"data:image/png;base64,QUJD"}}]}],"tools":[{"a":[1,{}]}]}`,
		"{\"messages\":[{\"content\":\"\xff\\", `{"messages`, `{"tools":`, `{"n":]}`, "[]", "",
	} {
		f.Add([]byte(seed), uint8(0))
	}
	for _, seed := range []string{`tide\n\u6f6e `, "\xff\\", `"},{"content":"a`, " ", "潮"} {
		f.Add([]byte(seed), uint8(255))
	}
	f.Fuzz(func(t *testing.T, body []byte, times uint8) {
		if times > 0 {
			text := bytes.Repeat(body, int(times)*40)
			body = slices.Concat([]byte(`{"messages":[{"content":"`), text[:min(len(text), 3*countedWhole)], []byte(`"}]}`))
		}
		pieces := 0
		p := readPrompt(jobs.EndpointChat, body, func(raw []byte) { pieces += len(raw) })
		if p.text != pieces || p.text > len(body) || p.schema > p.text || p.messages > len(body) || p.media > len(body) || p.output < 0 || p.choices < 0 {
			t.Fatalf("%+v of %d bytes", p, len(body))
		}
		for by := range encodings {
			if n, off := countText(body, p, by); n < 0 || n > p.text || !(off >= 0 && off <= 10) {
				t.Fatalf("%d tokens of %d bytes", n, p.text)
			}
		}
		if got := expected(&jobs.Request{Body: body}); got.Input < 0 || got.Output <= 0 {
			t.Fatalf("%+v", got)
		}
	})
}
