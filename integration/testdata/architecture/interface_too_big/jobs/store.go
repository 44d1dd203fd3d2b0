package jobs

type justRight interface {
	A()
	B()
	C()
	D()
}

type tooBig interface {
	justRight
	E()
	F()
	G()
	H()
}
